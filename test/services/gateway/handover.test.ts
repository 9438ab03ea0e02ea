import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openEvents } from '../../support/events.ts';
import { type GatewayLab, openGatewayLab, partitions, type TestGateway, userIn } from '../../support/gateway.ts';
import { openRawSocket, type RawSocket } from '../../support/raw-socket.ts';
import { until } from '../../support/until.ts';

let lab: GatewayLab;
const sockets: RawSocket[] = [];
const env = { PENSTOCK_OWNERSHIP_HANDOVER_WINDOW_MS: '300' };

before(async () => {
  lab = await openGatewayLab();
});

after(async () => {
  for (const { socket } of sockets) socket.terminate();
  await lab.close();
});

/** As a router connects for a client; rejects with the status where the upgrade is refused. */
async function routed(gateway: TestGateway, user: string): Promise<RawSocket> {
  const token = await lab.accessToken(user);
  const headers = { 'penstock-route': await lab.routeToken(user, token) };
  const socket = await openRawSocket(gateway.wsUrl, { headers });
  sockets.push(socket);
  await socket.greet(token);
  socket.send({ id: 'x', type: 'subscribe', payload: { query: 'subscription { notes { n } }' } });
  return socket;
}

const owned = (gateway: TestGateway) => gateway.metric('penstock_gateway_partitions_owned');

/** Which of the partitions are this gateway's, as its answers to routed requests tell. */
async function partitionsOf(gateway: TestGateway): Promise<number[]> {
  const mine: number[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    const user = userIn(partition);
    const token = await lab.accessToken(user);
    const headers = { 'penstock-route': await lab.routeToken(user, token) };
    const response = await gateway.post(token, { query: '{ __typename }' }, headers);
    if (response.status === 200) mine.push(partition);
    else {
      const { errors } = (await response.json()) as { errors: { extensions: { code: string } }[] };
      assert.deepEqual([response.status, errors[0]?.extensions.code], [421, 'NOT_OWNER']);
    }
  }
  return mine;
}

test('two gateways share the partitions; each refuses routed clients of the other, and serves whoever comes by itself', async () => {
  const first = await lab.gateway({ env });
  await until('it owns all partitions', async () => (await owned(first)) === partitions);
  const clients = await Promise.all(
    Array.from({ length: partitions }, (_, partition) => routed(first, userIn(partition))),
  );

  const second = await lab.gateway({ env });
  await until(
    'they share',
    async () => (await owned(first)) === partitions / 2 && (await owned(second)) === partitions / 2,
  );
  const moved = () => clients.filter(({ socket }) => socket.readyState === socket.CLOSED);
  await until('half of the clients have been told to move', () => moved().length === partitions / 2);
  for (const client of moved()) assert.equal((await client.closed()).code, 1012);
  const [ofFirst, ofSecond] = [await partitionsOf(first), await partitionsOf(second)];
  assert.deepEqual([...ofFirst, ...ofSecond].sort(), [0, 1, 2, 3]);

  const [elsewhere = 0] = ofSecond;
  await assert.rejects(routed(first, userIn(elsewhere)), /421/);
  const direct = await openRawSocket(first.wsUrl);
  sockets.push(direct);
  await direct.greet(await lab.accessToken(userIn(elsewhere)));
  const [here = 0] = ofFirst;
  const kept = await routed(first, userIn(here));
  const events = await openEvents(first.url, await lab.accessToken(userIn(here)), {
    query: 'subscription { notes { n } }',
  });
  await until('its first ping', () => events.all.length > 0);

  const started = performance.now();
  assert.equal(await first.stop(), 0);
  assert.ok(performance.now() - started < 25_000);
  for (const socket of [direct, kept]) assert.equal((await socket.closed()).code, 1012);
  await events.ended;
  assert.ok(!events.all.some(({ event }) => event === 'complete'), 'the client is to come back');
  await until('the other has all', async () => (await owned(second)) === partitions);
  assert.deepEqual(await partitionsOf(second), [0, 1, 2, 3]);
});

test('a client that moves goes on behind its cursor with nothing lost and nothing twice', async () => {
  const [from, to] = [await lab.gateway({ env }), await lab.gateway({ env })];
  const user = userIn(0);
  const token = await lab.accessToken(user);
  const query = 'subscription { notes { n } }';
  const source = await openEvents(from.url, token, { query });
  await until('its first ping', () => source.all.length > 0);
  let n = 0;
  const writing = (async () => {
    while (n < 300) await lab.note(user, ++n);
  })();
  await until('some notes', () => source.all.length > 20);
  assert.equal(await from.stop(), 0);
  await source.ended;
  const lastEventId = source.all.findLast(({ id }) => id)?.id ?? '';
  const resumed = await openEvents(to.url, token, { query }, { 'last-event-id': lastEventId });
  await writing;
  const numbers = () =>
    [...source.all, ...resumed.all].filter(({ event }) => event === 'next').map(({ data }) => data.data.notes.n);
  await until('the last note', () => numbers().includes(300));
  assert.deepEqual(
    numbers(),
    Array.from({ length: 300 }, (_, index) => index + 1),
  );
  resumed.close();
});

test('a client that moves by itself is told to while it is served; one that stays is closed when the window is over', async () => {
  const lasting = { PENSTOCK_OWNERSHIP_HANDOVER_WINDOW_MS: '1500' };
  const [from, to] = [await lab.gateway({ env: lasting }), await lab.gateway({ env: lasting })];
  const user = userIn(0);
  const token = await lab.accessToken(user);
  const open = async (gateway: TestGateway, extensions: object) => {
    const socket = await openRawSocket(gateway.wsUrl);
    sockets.push(socket);
    await socket.greet(token, { moves: true });
    const payload = { query: 'subscription { notes { n } }', extensions };
    socket.send({ id: 'x', type: 'subscribe', payload });
    await until('its first ping', () => socket.received.some(({ type }) => type === 'ping'));
    return socket;
  };
  const told = ({ received }: RawSocket) => received.some(({ type, payload }) => type === 'ping' && payload.move);
  const notes = ({ received }: RawSocket) =>
    received.filter(({ type }) => type === 'next').map(({ payload }) => payload);

  const [mover, stayer] = [await open(from, {}), await open(from, {})];
  await lab.note(user, 1);
  await until('it comes', () => notes(mover).length === 1);
  assert.equal(told(mover), false);
  const left = from.stop();
  await until('both are told to move', () => told(mover) && told(stayer));
  await lab.note(user, 2);
  await until('the one that leaves serves it yet', () => notes(mover).length === 2);
  const next = await open(to, { cursor: notes(mover)[1].extensions.cursor });
  mover.socket.close(1000);
  await lab.note(user, 3);
  await until('it goes on behind what it had', () => notes(next).length > 0);
  assert.deepEqual(
    [...notes(mover), ...notes(next)].map(({ data }) => data.notes.n),
    [1, 2, 3],
  );
  assert.equal((await stayer.closed()).code, 1012);
  assert.equal(await left, 0);
});
