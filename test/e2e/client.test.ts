import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createClient, type OperationError, UnauthorizedError } from '@penstock/client';
import type kafkajs from 'kafkajs';
import { WebSocket } from 'ws';
import { partitionOf } from '../../lib/kafka/index.ts';
import {
  account,
  type BankClient,
  type BankWishes,
  collect,
  openBank,
  transactions,
  untilStatus,
} from '../client/bank.ts';
import { testKafka } from '../support/dump.ts';
import { type Stack, sharedStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

let stack: Stack;
let kafka: kafkajs.Kafka;
let producer: kafkajs.Producer;
const opened: { close(): void }[] = [];

before(async () => {
  stack = await sharedStack();
  kafka = testKafka(stack.kafka, stack.kafkaCaFile);
  producer = kafka.producer();
  await producer.connect();
});

after(async () => {
  for (const client of opened) client.close();
  await producer?.disconnect();
});

async function bank(user = newUser(), wishes: BankWishes = {}): Promise<BankClient> {
  const client = await openBank(stack.url, user, wishes);
  opened.push(client);
  return client;
}

const newUser = () => `user-${randomUUID()}`;
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Events straight into the log. */
async function append(user: string, amounts: readonly number[], partition = partitionOf(user, stack.partitions)) {
  const messages = amounts.map(amount => {
    const value = { id: randomUUID(), iban: 'x', newBalance: amount, changedBy: amount, fromTo: 'cash' };
    const rest = { direction: 'CREDIT', descr: '', time: '2026-01-01T00:00:00.000Z' };
    return { key: user, value: JSON.stringify({ ...value, ...rest }), partition };
  });
  for (let begin = 0; begin < messages.length; begin += 1_000) {
    await producer.send({ topic: 'balance_changed', messages: messages.slice(begin, begin + 1_000) });
  }
}

function memory() {
  const items = new Map<string, string>();
  const storage = {
    getItem: async (key: string) => items.get(key) ?? null,
    setItem: async (key: string, value: string) => void items.set(key, value),
    removeItem: async (key: string) => void items.delete(key),
  };
  return { items, storage };
}

test('live() gives the state, then every event behind exactly that state', async () => {
  const client = await bank();
  const paying = (async () => {
    for (const amount of numbers(30)) await client.pay(amount);
  })();
  await until('the account in the view', async () => (await client.query({ query: account })).data.account);
  type State = { account: { balance: number } };
  type Change = { transactions: { newBalance: number; changedBy: number } };
  let balance = Number.NaN;
  let snapshots = 0;
  for await (const { snapshot, event } of client.live<State, object, Change>({
    query: account,
    subscription: transactions,
  })) {
    if (snapshot) {
      snapshots++;
      ({ balance } = snapshot.data.account);
    } else {
      const { changedBy, newBalance } = event.data.transactions;
      balance += changedBy;
      assert.equal(balance, newBalance);
    }
    if (balance === (30 * 31) / 2) break;
  }
  await paying;
  assert.equal(snapshots, 1);
  await until('the connection is given up', () => client.state.status === 'idle');
});

test('a slow handler holds back its own stream only, and gets everything in order', async () => {
  let arrived = 0;
  class CountingSocket extends WebSocket {
    constructor(address: string, protocol: string) {
      super(address, protocol);
      this.on('message', data => {
        if (String(data).includes('"type":"next"')) arrived++;
      });
    }
  }
  const user = newUser();
  const client = await bank(user, { webSocket: CountingSocket });
  const slow = client.subscribe<{ transactions: { changedBy: number } }>({ query: transactions });
  const quick = collect(client.subscribe({ query: transactions }));
  await untilStatus(client, 'live');
  await append(user, numbers(5_000));
  await until('all at the quick one', () => quick.all.length === 5_000);
  assert.ok(arrived < 9_000, `${arrived} have come for both`);
  const amounts: number[] = [];
  for await (const { data } of slow) {
    amounts.push(data.transactions.changedBy);
    if (amounts.length === 5_000) break;
  }
  assert.deepEqual(amounts, numbers(5_000));
  assert.deepEqual(quick.amounts(), numbers(5_000));
});

test('a cursor is stored when the handler has dealt with its event, and one that throws gets its event again', async () => {
  const user = newUser();
  const { items, storage } = memory();
  const client = await bank(user, { storage });
  await append(user, [1, 2, 3, 4]);
  const failing = (async () => {
    for await (const { data } of client.subscribe<{ transactions: { changedBy: number } }>({
      ...{ query: transactions, from: 'earliest', key: 'mine' },
    })) {
      if (data.transactions.changedBy === 3) throw new RangeError('no threes');
    }
  })();
  const other = collect(client.subscribe({ query: transactions, from: 'earliest' }));
  await assert.rejects(failing, new RangeError('no threes'));
  await until('the cursor is stored', () => items.size === 1);
  await append(user, [5]);
  await until('the other goes on', () => other.all.length === 5);
  client.close();

  const after = await bank(user, { storage });
  const seen = collect(after.subscribe({ query: transactions, from: 'earliest', key: 'mine' }));
  await until('the rest', () => seen.all.length === 3);
  assert.deepEqual(seen.amounts(), [3, 4, 5]);
  assert.ok(![...items].flat().join().includes(user));
});

test('UnauthorizedError is final, and any other error of getToken is passing', async () => {
  let asked = 0;
  const client = createClient({
    url: stack.url,
    async getToken() {
      asked++;
      throw new UnauthorizedError('logged out');
    },
  });
  opened.push(client);
  const seen = collect(client.subscribe({ query: transactions }));
  await seen.over;
  assert.ok(seen.state.error instanceof UnauthorizedError);
  assert.deepEqual(client.state, { status: 'needs-auth', reason: 'logged out' });
  await assert.rejects(client.query({ query: account }), UnauthorizedError);
  assert.equal(asked, 2);

  const states: unknown[] = [];
  let fails = 2;
  let underWay = 0;
  const user = newUser();
  const known = await bank(user);
  const { accessToken } = await known.login();
  const patient = createClient({
    url: stack.url,
    async getToken() {
      assert.equal(++underWay, 1, 'one call at a time');
      await new Promise(resolve => setTimeout(resolve, 20));
      underWay--;
      if (fails-- > 0) throw new Error('the network is down');
      return accessToken;
    },
  });
  opened.push(patient);
  patient.onState(state => states.push(state.retryAtMs ? state.reason : state.status));
  collect(patient.subscribe({ query: transactions }));
  await untilStatus(patient, 'live');
  assert.equal(states.filter(state => state === 'the network is down').length, 2);
});

test('a token that does not hold is final', async () => {
  const client = createClient({ url: stack.url, getToken: () => 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.' });
  opened.push(client);
  const seen = collect(client.subscribe({ query: transactions }));
  await seen.over;
  assert.ok(seen.state.error instanceof UnauthorizedError);
  assert.equal(client.state.status, 'needs-auth');
});

test('while offline nothing is tried; online again it goes on at once', async t => {
  const host = new EventTarget();
  let onLine = true;
  const given = Object.getOwnPropertyDescriptor(globalThis, 'navigator') ?? {};
  Object.defineProperty(globalThis, 'navigator', { configurable: true, get: () => ({ onLine }) });
  Object.assign(globalThis, {
    addEventListener: host.addEventListener.bind(host),
    removeEventListener: host.removeEventListener.bind(host),
  });
  t.after(() => {
    Object.defineProperty(globalThis, 'navigator', given);
    for (const name of ['addEventListener', 'removeEventListener']) Reflect.deleteProperty(globalThis, name);
  });
  const user = newUser();
  const client = await bank(user);
  const seen = collect(client.subscribe({ query: transactions }));
  await untilStatus(client, 'live');
  const asked = client.tokensAsked();
  onLine = false;
  host.dispatchEvent(new Event('offline'));
  await untilStatus(client, 'offline');
  await append(user, [1, 2]);
  await new Promise(resolve => setTimeout(resolve, 500));
  assert.equal(client.tokensAsked(), asked);
  onLine = true;
  host.dispatchEvent(new Event('online'));
  await until('what was missed', () => seen.all.length === 2);
  assert.deepEqual(
    seen.all.map(({ replayed }) => replayed),
    [true, true],
  );
  client.close();
});

test('what refuses a subscription is thrown, and other streams of the client go on', async () => {
  const user = newUser();
  const client = await bank(user);
  const good = collect(client.subscribe({ query: transactions }));
  await untilStatus(client, 'live');
  for (const [query, code] of [
    ['subscription { nothing }', 'BAD_USER_INPUT'],
    ['subscription { ledger { id } }', 'FORBIDDEN'],
  ] as const) {
    const refused = collect(client.subscribe({ query }));
    await refused.over;
    assert.equal((refused.state.error as OperationError).code, code);
  }
  const forged = collect(client.subscribe({ query: transactions, cursor: 'forged' }));
  await forged.over;
  assert.equal((forged.state.error as OperationError).code, 'CURSOR_INVALID');
  await append(user, [1]);
  await until('the event', () => good.all.length === 1);
});

test('a command must declare the variable of its id, and a given id is one command', async () => {
  const client = await bank();
  for (const query of [
    'mutation { openAccount { iban } }',
    'mutation { openAccount(commandId: $id) { iban } }',
    'mutation($id: ID) { openAccount { iban } } # commandId: $id',
  ]) {
    await assert.rejects(client.command({ query }), /must declare a variable for commandId/);
  }
  const id = randomUUID();
  const [one, other] = await Promise.all([client.pay(5, id), client.pay(5, id)]);
  assert.deepEqual([one.commandId, other.commandId], [id, id]);
  const refused = await client.command({
    query: 'mutation($commandId: ID) { openAccount(commandId: $commandId) { iban } nothing }',
  });
  assert.equal(refused.errors?.[0]?.extensions?.code, 'BAD_USER_INPUT');
  const seen = collect(client.subscribe({ query: transactions, from: 'earliest' }));
  await untilStatus(client, 'live');
  assert.deepEqual(seen.amounts(), [5]);
});

test('break, and return() beside a pending next(), end a subscription', async () => {
  const client = await bank();
  const events = client.subscribe({ query: transactions });
  const pending = events.next();
  await untilStatus(client, 'live');
  await events.return?.();
  assert.deepEqual(await pending, { done: true, value: undefined });
  await untilStatus(client, 'idle');
});
