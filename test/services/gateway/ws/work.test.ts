import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { type GatewayLab, openGatewayLab, type TestGateway, userIn } from '../../../support/gateway.ts';
import { openRawSocket, type RawSocket } from '../../../support/raw-socket.ts';
import { openTcpProxy, type TcpProxy } from '../../../support/tcp-proxy.ts';
import { until } from '../../../support/until.ts';

/** No handler runs here: a command waits for its feedback for a minute. */
let lab: GatewayLab;
let gateway: TestGateway;
let postgres: TcpProxy;
let token: string;
const sockets: RawSocket[] = [];
const limit = 2;

before(async () => {
  const server = new URL(process.env.TEST_POSTGRES ?? '');
  postgres = await openTcpProxy({ host: server.hostname, port: Number(server.port) });
  await postgres.mend();
  server.host = `127.0.0.1:${postgres.port}`;
  lab = await openGatewayLab();
  const env = { PENSTOCK_GATEWAY_MAX_SUBSCRIPTIONS: String(limit), PENSTOCK_POSTGRES_URL: server.href };
  gateway = await lab.gateway({ env });
  token = await lab.accessToken(userIn(0));
});

after(async () => {
  for (const { socket } of sockets) socket.terminate();
  await lab?.close();
  await postgres?.close();
});

async function greeted(): Promise<RawSocket> {
  const socket = await openRawSocket(gateway.wsUrl);
  sockets.push(socket);
  await socket.greet(token);
  return socket;
}

const say = 'mutation { say(text: "x") { text } }';
const notes = '{ notes { id } }';
const subscribe = (id: string, query: string) => ({ id, type: 'subscribe', payload: { query } });
const waiting = () => gateway.metric('penstock_gateway_commands_in_flight');

/** Resolves when whatever was sent before has been taken up. */
async function takenUp(socket: RawSocket): Promise<void> {
  const payload = { mark: randomUUID() };
  socket.send({ type: 'ping', payload });
  await until('the pong', () =>
    socket.received.find(({ type, payload: got }) => type === 'pong' && got.mark === payload.mark),
  );
}

const codeOf = (socket: RawSocket, id: string): string | undefined =>
  socket.received.find(message => message.type === 'error' && message.id === id)?.payload[0].extensions.code;

for (const query of [say, say.replace('mutation', 'subscription')]) {
  test(`a command that the client has completed is not waited for any more: ${query.split(' ')[0]}`, async () => {
    const socket = await greeted();
    for (let index = 0; index < 50; index++) {
      socket.send(subscribe(String(index), query));
      socket.send({ id: String(index), type: 'complete' });
    }
    await takenUp(socket);
    await until('their work has ended, and counts no more', async () => (await waiting()) === 0);
    socket.send(subscribe('last', query));
    await until('the last is waited for, and no other', async () => (await waiting()) === 1);
    socket.send({ id: 'last', type: 'complete' });
    await until('none is waited for', async () => (await waiting()) === 0);
    assert.ok(!socket.received.some(({ type }) => type === 'next' || type === 'complete'));
  });
}

test('commands are not waited for any more when their socket, or the request that they came in, has ended', async () => {
  const socket = await greeted();
  for (let id = 0; id < limit; id++) socket.send(subscribe(String(id), say));
  await until('they wait', async () => (await waiting()) === limit);
  socket.socket.terminate();
  await until('none is waited for', async () => (await waiting()) === 0);

  for (const [accept, query] of [
    ['application/json', say],
    ['text/event-stream', say],
    ['text/event-stream', say.replace('mutation', 'subscription')],
  ] as const) {
    const headers = { accept, authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const post = request(`${gateway.url}/graphql`, { method: 'POST', headers });
    post.on('error', () => {});
    post.end(JSON.stringify({ query }));
    await until(`it waits: ${accept}`, async () => (await waiting()) === 1);
    post.destroy();
    await until(`none is waited for: ${accept}`, async () => (await waiting()) === 0);
  }
});

test('an operation counts until its work has ended, which may be long after the client has completed it', async () => {
  const socket = await greeted();
  postgres.silence();
  try {
    for (let id = 0; id < limit; id++) {
      socket.send(subscribe(String(id), notes));
      socket.send({ id: String(id), type: 'complete' });
    }
    socket.send(subscribe('more', notes));
    assert.equal(await until('a refusal', () => codeOf(socket, 'more')), 'LIMIT_EXCEEDED');
  } finally {
    postgres.unsilence();
  }
  await until('there is room again', async () => {
    const id = randomUUID();
    socket.send(subscribe(id, '{ __typename }'));
    await takenUp(socket);
    return socket.received.some(message => message.type === 'next' && message.id === id);
  });
  assert.ok(!socket.received.some(({ id }) => id === '0' || id === '1'), 'who was completed is answered nothing');
});

test('a subscription that is being opened counts, though the client has completed it', async () => {
  const socket = await greeted();
  const query = 'subscription { notes { n } }';
  // The broker has to be asked where that is, and far more of them come in one breath than it answers meanwhile.
  const payload = { query, extensions: { from: '2020-01-01T00:00:00Z' } };
  for (let index = 0; index < 500; index++) {
    socket.send({ id: String(index), type: 'subscribe', payload });
    socket.send({ id: String(index), type: 'complete' });
  }
  await takenUp(socket);
  const refused = socket.received.filter(({ type }) => type === 'error');
  assert.ok(refused.length > 0, 'none is refused');
  assert.ok(refused.every(({ payload: [error] }) => error.extensions.code === 'LIMIT_EXCEEDED'));
});

test('thousands of operations that are completed in one breath, all under one id, cost no more than the limit allows', async () => {
  const socket = await greeted();
  postgres.silence();
  try {
    for (let index = 0; index < 10_000; index++) {
      socket.send(subscribe('x', notes));
      socket.send({ id: 'x', type: 'complete' });
    }
    await takenUp(socket);
    const refused = socket.received.filter(({ type }) => type === 'error');
    assert.equal(refused.length, 10_000 - limit);
  } finally {
    postgres.unsilence();
  }
});

test('an operation under the id of one that was completed gets its own answer, whichever is over first', async () => {
  const socket = await greeted();
  postgres.silence();
  try {
    socket.send(subscribe('x', '{ first: notes { id } }'));
    socket.send({ id: 'x', type: 'complete' });
    socket.send(subscribe('x', '{ second: notes { id } }'));
    await takenUp(socket);
  } finally {
    postgres.unsilence();
  }
  await until('its end', () => socket.received.some(({ id, type }) => id === 'x' && type === 'complete'));
  const answers = socket.received.filter(({ id, type }) => id === 'x' && type === 'next');
  // No projector has made the view's table.
  const paths = answers.map(({ payload }) => payload.errors[0].path);
  assert.deepEqual(paths, [['second']]);
});
