import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { auditServer } from 'graphql-http';
import { type Account, account, collector, transactions, transferMoney, verdictOf } from '../support/bank.ts';
import { type EventSource, openEvents } from '../support/events.ts';
import { openRawSocket, type RawSocket } from '../support/raw-socket.ts';
import { type Stack, sharedStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { openUser, type User } from '../support/user.ts';

let stack: Stack;
let alice: User;
let bob: User;
let hers: Account;
const sources: EventSource[] = [];
const sockets: RawSocket[] = [];

before(async () => {
  stack = await sharedStack();
  alice = await openUser(stack.url, `graphql-a-${randomUUID()}`);
  bob = await openUser(stack.url, `graphql-b-${randomUUID()}`);
  [hers] = await Promise.all([account(alice), account(bob)]);
});

after(async () => {
  for (const source of sources) source.close();
  for (const { socket } of sockets) socket.terminate();
  await Promise.all([alice?.close(), bob?.close()]);
});

/** Pays cents into Alice's account, one command each. */
async function payIn(...amounts: number[]): Promise<void> {
  for (const amount of amounts) {
    const variables = { ...hers, from: 'cash', to: hers.iban, amount };
    assert.equal(verdictOf(await alice.post(transferMoney, variables)).success, true);
  }
}

async function events(user: User, body: object, headers: Record<string, string> = {}): Promise<EventSource> {
  const source = await openEvents(stack.url, user.accessToken(), body, headers);
  sources.push(source);
  await until('the first event', () => source.all.length > 0);
  return source;
}

const changes = ({ all }: EventSource): unknown[] =>
  all.filter(({ event }) => event === 'next').map(({ data }) => data.data?.transactions.changedBy);

async function codeOf(user: User, query: string, variables?: Record<string, unknown>): Promise<unknown> {
  return (await user.post(query, variables)).errors?.[0]?.extensions?.code;
}

test('behind the router too, it passes the audit of GraphQL over HTTP', async () => {
  const authorization = `Bearer ${alice.accessToken()}`;
  const fetchFn = (url: string, init: RequestInit = {}) =>
    fetch(url, { ...init, headers: { ...(init.headers as object), authorization } });
  const results = await auditServer({ url: `${stack.url}/graphql`, fetchFn });
  assert.deepEqual(
    results.filter(({ status }) => status !== 'ok').map(({ name }) => name),
    [],
  );
});

test('SSE carries a cursor with each event and ping, and Last-Event-ID resumes without a gap', async () => {
  const first = await events(alice, { query: transactions });
  assert.equal(first.all[0]?.event, 'ping');
  assert.ok(first.all[0]?.id);
  await payIn(1, 2, 3);
  await until('three events', () => changes(first).length === 3);
  first.close();
  await payIn(4);
  const second = first.all.find(({ data }) => data.data?.transactions.changedBy === 2);
  const resumed = await events(alice, { query: transactions }, { 'last-event-id': second?.id ?? '' });
  await until('what was missed', () => changes(resumed).includes(4));
  assert.deepEqual(
    [changes(first), changes(resumed)],
    [
      [1, 2, 3],
      [3, 4],
    ],
  );
});

test('a stream begins where it is asked to: now, at the earliest record, or at a time', async () => {
  const carol = await openUser(stack.url, `graphql-c-${randomUUID()}`);
  hers = await account(carol);
  const pay = async (amount: number) =>
    assert.ok(verdictOf(await carol.post(transferMoney, { ...hers, from: 'cash', to: hers.iban, amount })).success);
  await pay(1);
  const first = await events(carol, { query: transactions, extensions: { from: 'earliest' } });
  await until('the first event', () => changes(first).length === 1);
  const time = first.all.find(({ event }) => event === 'next')?.data.data.transactions.time;
  // The broker's clock goes by the millisecond: the second record is later than the time by at least one.
  const later = new Date(Date.parse(time) + 1_000).toISOString();
  await until('the clock has passed it', () => Date.now() > Date.parse(later));
  await pay(2);
  const starts = ['now', 'earliest', later].map(from => events(carol, { query: transactions, extensions: { from } }));
  const [now, earliest, since] = await Promise.all(starts);
  await pay(3);
  const got = () => [now, earliest, since].map(source => (source ? changes(source) : []));
  await until('all of them', () => got().every(list => list.includes(3)));
  assert.deepEqual(got(), [[3], [1, 2, 3], [2, 3]]);
  await carol.close();
  hers = await account(alice);
});

test('each error comes with its code', async () => {
  const table: readonly [string, unknown][] = [
    ['{', 'BAD_USER_INPUT'],
    ['{ nothing }', 'BAD_USER_INPUT'],
    ['query($n: Int!) { transactions(first: $n) { edges { cursor } } }', 'BAD_USER_INPUT'],
    ['{ transactions(first: -1) { edges { cursor } } }', 'BAD_USER_INPUT'],
    ['{ transactions(after: "x") { edges { cursor } } }', 'BAD_USER_INPUT'],
    ['mutation { openAccount(commandId: "mine") { iban } }', 'BAD_USER_INPUT'],
    ['{ allLastTransactions { edges { cursor } } }', 'FORBIDDEN'],
    [`{ ${Array.from({ length: 60 }, (_, i) => `a${i}: account { iban }`).join(' ')} }`, 'LIMIT_EXCEEDED'],
  ];
  for (const [query, code] of table) assert.equal(await codeOf(alice, query), code, query);
});

test('a cursor that was changed, or is somebody else’s, or of other arguments, is CURSOR_INVALID', async () => {
  const source = await events(alice, { query: transactions });
  const cursor = source.all[0]?.id ?? '';
  const changed = `${cursor.slice(0, -1)}${cursor.endsWith('A') ? 'B' : 'A'}`;
  const filtered = 'subscription { transactions(minAmount: 5) { id } }';
  for (const [user, query, used] of [
    [alice, transactions, changed],
    [bob, transactions, cursor],
    [alice, filtered, cursor],
    [alice, transactions, 'nonsense'],
  ] as const) {
    const seen = collector();
    const stream = user.subscribe({ query, extensions: { cursor: used } }, seen);
    await until('an error', () => seen.errors.length > 0);
    const [errors] = seen.errors as { extensions: { code: string } }[][];
    assert.equal(errors?.[0]?.extensions.code, 'CURSOR_INVALID');
    stream.stop();
  }
});

test('a command as a subscription, over WebSocket and over SSE, gives its verdict and completes', async () => {
  const query = `subscription($id: ID) { transferMoney(commandId: $id, token: "${hers.token}", amount: 7, from: "cash", to: "${hers.iban}", descr: "s") { commandId success } }`;
  const id = randomUUID();
  const verdict = { transferMoney: { commandId: id, success: true } };
  const got: unknown[] = [];
  await new Promise<void>((complete, error) => {
    const next = ({ data }: { data?: unknown }) => void got.push(data);
    alice.subscribe({ query, variables: { id } }, { next, error, complete });
  });
  const source = await events(alice, { query, variables: { id } });
  await source.ended;
  got.push(...source.all.filter(({ event }) => event === 'next').map(({ data }) => data.data));
  assert.deepEqual(got, [verdict, verdict]);
  assert.equal(source.all.at(-1)?.event, 'complete');
});

test('a WebSocket goes by the cookie or by an Authorization header as well, and by none of them is closed with 4401', async () => {
  const authorization = `Bearer ${alice.accessToken()}`;
  const route = await fetch(`${stack.url}/route`, { method: 'POST', headers: { authorization } });
  const cookie = route.headers.get('set-cookie')?.split(';')[0] ?? '';
  const url = `${stack.url.replace('http', 'ws')}/graphql`;
  for (const headers of [{ cookie }, { authorization }]) {
    const socket = await openRawSocket(url, { headers });
    sockets.push(socket);
    await socket.greet(alice.accessToken());
    socket.send({ id: '1', type: 'subscribe', payload: { query: '{ account { iban } }' } });
    const next = await until('the answer', () => socket.received.find(({ type }) => type === 'next'));
    assert.deepEqual(next.payload.data, { account: { iban: hers.iban } });
    assert.ok(next.payload.extensions.cursor);
  }
  const stranger = await openRawSocket(url, { headers: { cookie } });
  stranger.send({ type: 'connection_init', payload: { accessToken: bob.accessToken() } });
  assert.equal((await stranger.closed()).code, 4401, 'a route token of another user');
  assert.equal((await (await openRawSocket(url)).closed()).code, 4401);
});

test('a query over views as an event carries its cursor as id, and a stream goes on from it as Last-Event-ID', async () => {
  const answer = await events(alice, { query: '{ account { iban } }' });
  await answer.ended;
  const [next, end] = answer.all;
  assert.ok(next?.id);
  assert.deepEqual([next.id, end?.event], [next.data.extensions.cursor, 'complete']);
  await payIn(51);
  const source = await events(alice, { query: transactions }, { 'last-event-id': next.id });
  await until('the payment', () => changes(source).length > 0);
  assert.deepEqual(changes(source), [51]);
});

test('the cursor of a query over views goes on in a filtered stream, and in the ledger of who may see it', async () => {
  const auditor = await openUser(stack.url, 'auditor');
  const answer = await auditor.post('{ account { iban } allLastTransactions(first: 1) { edges { node { id } } } }');
  const cursor = answer.extensions?.cursor;
  assert.ok(cursor);
  await payIn(50, 60);
  const seen = collector('ledger');
  const ledger = `subscription { ledger(iban: "${hers.iban}", minAmount: 55) { id changedBy } }`;
  const stream = auditor.subscribe({ query: ledger, extensions: { cursor } }, seen);
  await until('the payment', () => seen.got.length > 0);
  assert.deepEqual(
    seen.got.map(({ changedBy }) => changedBy),
    [60],
  );
  stream.stop();
  const again = collector('ledger');
  const resumed = auditor.subscribe({ query: ledger, extensions: { cursor: seen.cursors[0] } }, again);
  await payIn(70);
  await until('the next payment', () => again.got.length > 0);
  assert.deepEqual(
    again.got.map(({ changedBy }) => changedBy),
    [70],
  );
  resumed.stop();
  await auditor.close();
});
