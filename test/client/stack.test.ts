// runs apart: it kills the services of a stack of its own
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  type Client,
  createClient,
  type Gap,
  type GapAnswer,
  type LiveItem,
  type OperationError,
} from '@penstock/client';
import type kafkajs from 'kafkajs';
import { partitionOf } from '../../lib/kafka/index.ts';
import { backUp } from '../chaos/whole.ts';
import { testKafka } from '../support/dump.ts';
import { logIn } from '../support/log-in.ts';
import { attachStack, type Stack, startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import {
  account,
  type BankClient,
  type BankWishes,
  type Change,
  collect,
  type Feedback,
  openBank,
  transactions,
  transferMoney,
  untilStatus,
} from './bank.ts';
import { type LineProxy, openLineProxy } from './line-proxy.ts';

let stack: Stack;
const opened: { close(): unknown }[] = [];

before(async () => {
  const given = process.env.TEST_CLIENT_STACK;
  stack = given
    ? attachStack(given)
    : await startStack({
        gateways: 2,
        env: {
          PENSTOCK_OWNERSHIP_HANDOVER_WINDOW_MS: '3000',
          // A client is closed by the end of its token, and taken for dead, within a test.
          PENSTOCK_AUTH_TOKEN_TTL_SECONDS: '25',
          PENSTOCK_GATEWAY_PING_INTERVAL_MS: '1000',
        },
      });
});

after(async () => {
  for (const client of opened) await client.close();
  await stack?.stop();
});

async function bank(
  user = `user-${randomUUID()}`,
  { url = stack.url, ...wishes }: BankWishes = {},
): Promise<BankClient> {
  const client = await openBank(url, user, wishes);
  opened.push(client);
  return client;
}

async function proxy(options: Parameters<typeof openLineProxy>[1]): Promise<LineProxy> {
  const opening = await openLineProxy(stack.url, options);
  opened.push(opening);
  return opening;
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Pays 1, 2, 3 … until it is told to stop; resolves with the last amount. */
function payOn(client: BankClient, everyMs: number) {
  let isOver = false;
  const paying = (async () => {
    for (let amount = 1; ; amount++) {
      await client.pay(amount);
      if (isOver) return amount;
      await new Promise(resolve => setTimeout(resolve, everyMs));
    }
  })();
  paying.catch(() => {});
  return {
    stop: () => {
      isOver = true;
      return paying;
    },
  };
}

test('a subscription tells replayed events from live ones, and the client its state', async () => {
  const client = await bank();
  for (const amount of [1, 2]) await client.pay(amount);
  const states: string[] = [client.state.status];
  const end = client.onState(({ status }) => states.push(status));
  const seen = collect(client.subscribe({ query: transactions, from: 'earliest' }));
  await untilStatus(client, 'live');
  await client.pay(3);
  await until('the third', () => seen.all.length === 3);
  assert.deepEqual(
    seen.all.map(({ replayed }) => replayed),
    [true, true, false],
  );
  assert.deepEqual(seen.amounts(), [1, 2, 3]);
  assert.deepEqual(states, ['idle', 'connecting', 'replaying', 'live']);
  assert.deepEqual({ ...client.counters }, { delivered: 3, replayed: 2, reconnects: 0, moves: 0, gaps: 0 });
  end();
  client.close();
  await seen.over;
  assert.deepEqual([client.state.status, seen.state.error], ['closed', undefined]);
});

test('a gateway that drains moves its clients, and whatever dies is come back from: every event once, in order', async () => {
  const clients = await Promise.all(numbers(4).map(() => bank()));
  const seens = clients.map(client => collect(client.subscribe({ query: transactions })));
  for (const client of clients) await untilStatus(client, 'live');
  const all = clients.map((client, index) => ({ client, seen: seens[index], paying: payOn(client, 100) }));
  for (const name of ['gateway-0', 'gateway-1']) await backUp(stack, name, stack.kill(name, 'SIGTERM'));
  assert.ok(clients.reduce((sum, { counters }) => sum + counters.moves, 0) >= 4, 'each has moved');
  for (const name of ['gateway-0', 'router-0']) await backUp(stack, name, stack.kill(name, 'SIGKILL'));
  for (const { client, seen = assert.fail(), paying } of all) {
    const last = await paying.stop();
    await until('the last event', () => seen.all.length >= last);
    assert.deepEqual(seen.amounts(), numbers(last));
    assert.ok(client.counters.reconnects > 0);
  }
});

test('a token that expires is renewed, and the stream goes on', async () => {
  const client = await bank();
  const seen = collect(client.subscribe({ query: transactions }));
  await untilStatus(client, 'live');
  const before = client.tokensAsked();
  const paying = payOn(client, 200);
  await until('a reconnect', () => client.counters.reconnects > 0, 60_000);
  const last = await paying.stop();
  await until('the last event', () => seen.all.length >= last);
  assert.deepEqual(seen.amounts(), numbers(last));
  assert.ok(client.tokensAsked() > before);
});

test('a proxy that cuts every connection after 5 s costs no event, nor a payment', async () => {
  const { url, connections } = await proxy({ lifeMs: 5_000 });
  const client = await bank(undefined, { url });
  const seen = collect(client.subscribe({ query: transactions }));
  await untilStatus(client, 'live');
  const paying = payOn(client, 100);
  await until('three reconnects', () => client.counters.reconnects >= 3, 60_000);
  const last = await paying.stop();
  await until('the last event', () => seen.all.length >= last);
  assert.deepEqual(seen.amounts(), numbers(last));
  assert.ok(connections() > 3);
});

test('where WebSockets are blocked events come over SSE, and over a WebSocket again by the same cursor', async () => {
  let isBlocked = true;
  const line = await proxy({ blocksWebSockets: () => isBlocked });
  const client = await bank(undefined, { url: line.url });
  const seen = collect(client.subscribe({ query: transactions, from: 'earliest' }));
  await untilStatus(client, 'live');
  for (const amount of [1, 2]) await client.pay(amount);
  await until('two events over SSE', () => seen.all.length === 2);
  line.cut();
  await client.pay(3);
  await until('the third, after a cut', () => seen.all.length === 3);
  isBlocked = false;
  await until('the move to a WebSocket', () => client.counters.moves > 0, 60_000);
  line.cut();
  await client.pay(4);
  await until('the fourth', () => seen.all.length === 4);
  assert.deepEqual(seen.amounts(), [1, 2, 3, 4]);
  assert.equal(seen.state.error, undefined);
});

test('a page that was frozen goes on where it was', async () => {
  const user = `user-${randomUUID()}`;
  const script = fileURLToPath(new URL('frozen.ts', import.meta.url));
  const page = spawn(process.execPath, [script, stack.url, user], { stdio: ['ignore', 'pipe', 'inherit'] });
  opened.push({ close: () => page.kill('SIGKILL') });
  let said = '';
  page.stdout.setEncoding('utf8').on('data', text => {
    said += text;
  });
  const amounts = () => [...said.matchAll(/^amount (\d+)$/gm)].map(([, amount]) => Number(amount));
  await until('the page is live', () => said.includes('live'));
  const other = await bank(user);
  await other.pay(1);
  await until('the first event', () => amounts().length === 1);
  page.kill('SIGSTOP');
  for (const amount of [2, 3]) await other.pay(amount);
  // Its gateway gives it up after three pings.
  await new Promise(resolve => setTimeout(resolve, 6_000));
  page.kill('SIGCONT');
  await other.pay(4);
  await until('all events', () => amounts().length >= 4);
  assert.deepEqual(amounts(), [1, 2, 3, 4]);
});

test('a reload in the middle of a command does not pay twice, and storage names no user', async () => {
  const items = new Map<string, string>();
  const storage = {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  };
  const user = `user-${randomUUID()}`;
  const first = await bank(user, { storage });
  const variables = { token: first.secret, amount: 500, from: 'cash', to: first.iban };
  await stack.down('command-handler-0');
  const lost = first.command({ query: transferMoney, variables });
  lost.catch(() => {});
  await until('the id is kept', () => items.size === 1);
  await new Promise(resolve => setTimeout(resolve, 500));
  first.close();
  await assert.rejects(lost, { message: 'closed' });
  assert.ok(![...items.keys()].join().includes(user));

  const second = createClient({ url: stack.url, getToken: () => logIn(stack.url, user), storage });
  opened.push(second);
  const again = second.command<{ transferMoney: Feedback }>({ query: transferMoney, variables });
  await new Promise(resolve => setTimeout(resolve, 500));
  assert.equal(items.size, 1);
  await stack.up('command-handler-0');
  assert.equal((await again).data.transferMoney.success, true);
  assert.equal(items.size, 0);
  const later = await second.command<{ transferMoney: Feedback }>({ query: transferMoney, variables });
  assert.notEqual(later.data.transferMoney.commandId, (await again).data.transferMoney.commandId);
  await until('both payments in the view', async () => (await balanceOf(second)) === 1_000);
});

test('a gap is told: marked in a stream, thrown, or bridged by a new snapshot of live()', async () => {
  let isDown = false;
  const line = await proxy({ isDown: () => isDown });
  const user = `user-${randomUUID()}`;
  const gaps: Gap[] = [];
  let answer: GapAnswer = 'continue';
  const onGap = (gap: Gap) => {
    gaps.push(gap);
    return answer;
  };
  const client = await bank(user, { url: line.url, onGap });
  const bridged = await bank(user, { url: line.url });
  const marked = collect(client.subscribe({ query: transactions }));
  const items: LiveItem<{ account: { balance: number } }, Change>[] = [];
  const live = bridged.live<{ account: { balance: number } }, object, Change>({
    query: account,
    subscription: transactions,
  });
  void (async () => {
    for await (const item of live) items.push(item);
  })();
  for (const one of [client, bridged]) await untilStatus(one, 'live');
  const { url } = stack;
  const elsewhere = await bank(user, { url });
  await elsewhere.pay(1);
  await until('the first event', () => marked.all.length === 1 && items.length === 2);
  const { cursor } = marked.all[0] ?? assert.fail();

  isDown = true;
  line.cut();
  for (const amount of [2, 3]) await elsewhere.pay(amount);
  await until('the view', async () => (await balanceOf(elsewhere)) === 6);
  const kafka = testKafka(stack.kafka, stack.kafkaCaFile);
  await deleteRecords(kafka, user);
  // They have the records in memory.
  for (const name of ['gateway-0', 'gateway-1']) await backUp(stack, name, stack.kill(name));
  isDown = false;
  await until('the snapshot', () => items.length === 3);
  await untilStatus(client, 'live');
  await elsewhere.pay(4);
  await until('the event behind the gap', () => marked.all.length === 2 && items.length === 4);
  assert.deepEqual(marked.amounts(), [1, 4]);
  assert.deepEqual(
    marked.all.map(({ gap }) => gap),
    [undefined, true],
  );
  assert.equal(items[2]?.snapshot?.data.account.balance, 6);
  assert.equal(items[3]?.event?.data.transactions.newBalance, 10);
  assert.deepEqual([client.counters.gaps, gaps.length, bridged.counters.gaps], [1, 1, 1]);

  answer = 'throw';
  const thrown = collect(client.subscribe({ query: transactions, ...(cursor !== undefined && { cursor }) }));
  await thrown.over;
  assert.equal((thrown.state.error as OperationError).code, 'CURSOR_EXPIRED');
});

async function balanceOf(client: Client): Promise<number> {
  return (await client.query<{ account: { balance: number } }>({ query: account })).data.account.balance;
}

/** Everything of the user's partition. */
async function deleteRecords(kafka: kafkajs.Kafka, user: string): Promise<void> {
  const partition = partitionOf(user, stack.partitions);
  const topic = 'balance_changed';
  const admin = kafka.admin();
  await admin.connect();
  const ends = await admin.fetchTopicOffsets(topic);
  const offset = ends.find(end => end.partition === partition)?.high ?? assert.fail();
  await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset }] });
  await admin.disconnect();
}
