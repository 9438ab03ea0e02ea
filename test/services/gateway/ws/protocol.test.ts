import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { Client, ExecutionResult } from 'graphql-ws';
import { answerCommands, type GatewayLab, openGatewayLab, type TestGateway, userIn } from '../../../support/gateway.ts';
import { openRawSocket, type RawSocket } from '../../../support/raw-socket.ts';
import { unsignedToken } from '../../../support/token-maker.ts';
import { until } from '../../../support/until.ts';

let lab: GatewayLab;
let gateway: TestGateway;
let handler: Awaited<ReturnType<typeof answerCommands>>;
const alice = userIn(0);
let token: string;
const clients: Client[] = [];
const sockets: RawSocket[] = [];

before(async () => {
  lab = await openGatewayLab();
  [gateway, handler] = await Promise.all([
    lab.gateway({ env: { PENSTOCK_GATEWAY_MAX_SUBSCRIPTIONS: '5', PENSTOCK_GATEWAY_MAX_PENDING: '8' } }),
    answerCommands(lab),
  ]);
  token = await lab.accessToken(alice);
});

after(async () => {
  for (const client of clients) await client.dispose();
  for (const { socket } of sockets) socket.terminate();
  await handler.close();
  await lab.close();
});

function stock(options: Parameters<TestGateway['client']>[1] = {}): Client {
  const client = gateway.client(token, { lazyCloseTimeout: 1_000, ...options });
  clients.push(client);
  return client;
}

async function raw(options: Parameters<typeof openRawSocket>[1] = {}, query = ''): Promise<RawSocket> {
  const socket = await openRawSocket(`${gateway.wsUrl}${query}`, options);
  sockets.push(socket);
  return socket;
}

/** The results of an operation, until it completes; rejects with its errors. */
function results(client: Client, query: string, extensions: Record<string, unknown> = {}) {
  return new Promise<ExecutionResult[]>((resolve, reject) => {
    const all: ExecutionResult[] = [];
    const sink = { next: (result: object) => void all.push(result), error: reject, complete: () => resolve(all) };
    client.subscribe({ query, extensions }, sink);
  });
}

test('a stock client queries, sends commands, and follows a stream on one socket', async () => {
  const client = stock();
  const live: unknown[] = [];
  const stop = client.subscribe(
    { query: 'subscription { note: notes(kind: RED) { ...Fields } } fragment Fields on Note { id, n }' },
    { next: ({ data }) => live.push(data), error: assert.fail, complete: () => {} },
  );
  assert.deepEqual(await results(client, '{ __typename }'), [{ data: { __typename: 'Query' } }]);
  assert.deepEqual(await results(client, 'mutation { say(text: "x") { text } }'), [{ data: { say: { text: 'x' } } }]);
  assert.deepEqual(await results(client, 'subscription { said: say(text: "x", times: 2) { step } }'), [
    { data: { said: { step: 1 } } },
    { data: { said: { step: 2 } } },
  ]);
  for (const n of [1, 2, 3, 4]) await lab.note(alice, n);
  await until('two notes', () => live.length === 2);
  assert.deepEqual(live, [{ note: { id: `${alice}-2`, n: 2 } }, { note: { id: `${alice}-4`, n: 4 } }]);
  stop();
});

test('a ping with the cursors of all streams comes at once after each subscribe, and then at intervals', async () => {
  const socket = await raw();
  await socket.greet(token);
  for (const id of ['a', 'b']) {
    socket.send({ id, type: 'subscribe', payload: { query: 'subscription { notes { n } }' } });
  }
  const pings = () => socket.received.filter(({ type }) => type === 'ping').map(({ payload }) => payload.cursors);
  await until('a ping for both', () => pings().some(cursors => 'a' in cursors && 'b' in cursors));
  assert.ok(pings().some(cursors => Object.keys(cursors).join() === 'a'));
  assert.ok(pings().some(cursors => Object.keys(cursors).join() === 'b'));
});

test('what refuses an operation is one error message with its code, and the id is free again', async () => {
  const socket = await raw();
  await socket.greet(token);
  const table: readonly [object, string][] = [
    [{ query: '{' }, 'BAD_USER_INPUT'],
    [{ query: '{ nothing }' }, 'BAD_USER_INPUT'],
    [{ query: 'subscription($n: Int!) { notes(min: $n) { n } }' }, 'BAD_USER_INPUT'],
    [{ query: 'subscription { allNotes { n } }' }, 'FORBIDDEN'],
    [{ query: 'subscription { notes { n } }', extensions: { cursor: 'forged' } }, 'CURSOR_INVALID'],
    [{ query: 'subscription { notes { n } }', extensions: { from: 'tomorrow' } }, 'BAD_USER_INPUT'],
    [{ query: 'subscription { notes { n } a: notes { n } }' }, 'BAD_USER_INPUT'],
    [{ query: `{ ${Array.from({ length: 60 }, (_, i) => `a${i}: __typename`).join(' ')} }` }, 'LIMIT_EXCEEDED'],
  ];
  for (const [index, [payload, code]] of table.entries()) {
    socket.send({ id: 'same', type: 'subscribe', payload });
    const errors = () => socket.received.filter(({ type }) => type === 'error');
    await until(`error ${index}`, () => errors().length > index);
    assert.equal(errors()[index].id, 'same');
    assert.equal(errors()[index].payload[0].extensions.code, code, JSON.stringify(payload));
  }
  assert.ok(!socket.received.some(({ type }) => type === 'next' || type === 'complete'));
});

test('an operation that was completed and subscribed again under its id in one breath is delivered once', async () => {
  const socket = await raw();
  await socket.greet(token);
  const subscribe = { id: 'x', type: 'subscribe', payload: { query: 'subscription { notes { n } }' } };
  // A cursor of `x` may be that of the first: one that was asked for after the second says that both are there.
  const after = { ...subscribe, id: 'y' };
  for (const message of [subscribe, { id: 'x', type: 'complete' }, subscribe, after]) socket.send(message);
  await until('a cursor', () => socket.received.some(({ type, payload }) => type === 'ping' && payload.cursors.y));
  for (const n of [11, 12, 13]) await lab.note(alice, n);
  const numbers = () =>
    socket.received.filter(({ id, type }) => id === 'x' && type === 'next').map(({ payload }) => payload.data.notes.n);
  await until('the last note', () => numbers().includes(13));
  assert.deepEqual(numbers(), [11, 12, 13]);
  assert.ok(!socket.received.some(({ type }) => type === 'complete'));
});

test('a connection has a limit of operations', async () => {
  const socket = await raw();
  await socket.greet(token);
  for (let id = 0; id < 6; id++) {
    socket.send({ id: String(id), type: 'subscribe', payload: { query: 'subscription { notes { n } }' } });
  }
  const error = await until('an error', () => socket.received.find(({ type }) => type === 'error'));
  assert.deepEqual([error.id, error.payload[0].extensions.code], ['5', 'LIMIT_EXCEEDED']);
  socket.send({ id: '0', type: 'complete' });
  socket.send({ id: '6', type: 'subscribe', payload: { query: 'subscription { notes { n } }' } });
  await until('the sixth', () => socket.received.some(({ type, payload }) => type === 'ping' && payload.cursors['6']));
});

test('connections that have not said who they are are limited; one more is closed with 1013', async () => {
  const silent: RawSocket[] = [];
  while (silent.length < 8) silent.push(await raw());
  await assert.rejects(async () => (await raw()).greet(token), /closed with 1013/);
  await silent[0]?.greet(token);
  await (await raw()).greet(token);
  for (const { socket } of silent) socket.terminate();
});

test('a token that does not hold closes with 4401, an expired one with 4403', async () => {
  const now = Math.floor(Date.now() / 1_000);
  const claims = { iss: 'penstock', aud: 'penstock', sub: alice, iat: now, exp: now + 600 };
  const table: readonly [unknown, number][] = [
    [undefined, 4401],
    [7, 4401],
    ['', 4401],
    [unsignedToken(claims), 4401],
    [await lab.accessToken(alice, { aud: 'other' }), 4401],
    [await lab.routeToken(alice, token), 4401],
    [await lab.accessToken(alice, { iat: now - 100, exp: now - 50 }), 4403],
  ];
  for (const [accessToken, code] of table) {
    const socket = await raw();
    socket.send({ type: 'connection_init', payload: { accessToken } });
    assert.equal((await socket.closed()).code, code, JSON.stringify(accessToken));
    assert.deepEqual(socket.received, []);
  }
});

test('the socket is closed with 4403 when its access token expires', async () => {
  const socket = await raw();
  await socket.greet(await lab.accessToken(alice, { exp: Math.floor(Date.now() / 1_000) + 2 }));
  assert.equal((await socket.closed()).code, 4403);
});

test("a route token is taken from the router's header or from ?route=, and must belong to the access token", async () => {
  const own = await lab.routeToken(alice, token);
  const foreign = await lab.routeToken(userIn(0), token);
  for (const socket of [await raw({ headers: { 'penstock-route': own } }), await raw({}, `?route=${own}`)]) {
    await socket.greet(token);
  }
  for (const socket of [await raw({ headers: { 'penstock-route': foreign } }), await raw({}, `?route=${foreign}`)]) {
    socket.send({ type: 'connection_init', payload: { accessToken: token } });
    assert.equal((await socket.closed()).code, 4401);
  }
  const forged = await raw({}, `?route=${own}x`);
  assert.equal((await forged.closed()).code, 4401);
});

test("the sub-protocol's own rules hold", async () => {
  const subscribe = { id: 'x', type: 'subscribe', payload: { query: 'subscription { notes { n } }' } };
  const init = { type: 'connection_init', payload: { accessToken: token } };
  const table: readonly [string, (object | string)[], number][] = [
    ['no JSON', ['nonsense'], 4400],
    ['no message', [{ type: 'nonsense' }], 4400],
    ['a subscribe before the ack', [subscribe], 4401],
    ['a second init', [init, init], 4429],
  ];
  for (const [what, messages, code] of table) {
    const socket = await raw();
    for (const message of messages) socket.send(message);
    assert.equal((await socket.closed()).code, code, what);
  }
  const twice = await raw();
  await twice.greet(token);
  twice.send(subscribe);
  twice.send(subscribe);
  assert.equal((await twice.closed()).code, 4409);
  const client = await raw();
  await client.greet(token);
  client.send({ type: 'ping', payload: { a: 1 } });
  const pong = await until('the pong', () => client.received.find(({ type }) => type === 'pong'));
  assert.deepEqual(pong.payload, { a: 1 });
});

test('a client of another sub-protocol, or of none, is told so', async () => {
  await assert.rejects(openRawSocket(gateway.wsUrl, { protocol: 'graphql-ws' }), /sub/i);
});

test('a message that is too large closes with 1009', async () => {
  const socket = await raw();
  await socket.greet(token);
  socket.send('x'.repeat(300_000));
  assert.equal((await socket.closed()).code, 1009);
});

test('a mutation that is sent again after a reconnect is the same command', async () => {
  const operation = randomUUID();
  const send = async (): Promise<string> => {
    const socket = await raw();
    await socket.greet(token);
    const payload = { query: 'mutation { first: say(text: "once") { commandId } }' };
    socket.send({ id: operation, type: 'subscribe', payload });
    const next = await until('the answer', () => socket.received.find(({ type }) => type === 'next'));
    return next.payload.data.first.commandId;
  };
  const first = await send();
  assert.match(first, /^[0-9a-f]{8}-[0-9a-f]{4}-5/);
  assert.equal(await send(), first);
});

test('a socket that never says anything is closed', async () => {
  // 4408 after ten seconds by graphql-ws itself; a client that does not even answer pings goes with its connection.
  const before = await gateway.metric('penstock_gateway_connections');
  const socket = await raw();
  await socket.greet(token);
  await until('it is counted', async () => (await gateway.metric('penstock_gateway_connections')) === before + 1);
  socket.socket.pause();
  await until('it is gone', async () => (await gateway.metric('penstock_gateway_connections')) === before);
});
