import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type EventSource, openEvents } from '../../../support/events.ts';
import { type GatewayLab, openGatewayLab, type TestGateway, userIn } from '../../../support/gateway.ts';
import { openRawSocket, type RawSocket } from '../../../support/raw-socket.ts';
import { until } from '../../../support/until.ts';

let lab: GatewayLab;
let gateway: TestGateway;
const sockets: RawSocket[] = [];
const sources: EventSource[] = [];

before(async () => {
  lab = await openGatewayLab();
  // No other ping than those that a subscription itself gives rise to.
  gateway = await lab.gateway({ env: { PENSTOCK_GATEWAY_PING_INTERVAL_MS: '60000' } });
});

after(async () => {
  for (const { socket } of sockets) socket.terminate();
  for (const source of sources) source.close();
  await lab.close();
});

const notes = 'subscription { notes { n } }';

/** What a subscription has been told, in order: an event as its number, with `r` where it was replayed; `live`, or `ping`. */
interface Told {
  story(): string[];
  cursorOf(n: number): string;
}

type Transport = (token: string, query: string, extensions?: object) => Promise<Told>;

const overWebSocket: Transport = async (token, query, extensions) => {
  const socket = await openRawSocket(gateway.wsUrl);
  sockets.push(socket);
  await socket.greet(token);
  socket.send({ id: 'x', type: 'subscribe', payload: { query, extensions } });
  const nexts = () => socket.received.filter(({ type }) => type === 'next').map(({ payload }) => payload);
  return {
    story: () =>
      socket.received.flatMap(({ type, payload }) => {
        if (type === 'ping') return [payload.live?.includes('x') ? 'live' : 'ping'];
        return type === 'next' ? [label(payload)] : [];
      }),
    cursorOf: n => cursorOf(nexts(), n),
  };
};

const overEvents: Transport = async (token, query, extensions) => {
  const source = await openEvents(gateway.url, token, { query, extensions });
  sources.push(source);
  const nexts = () => source.all.filter(({ event }) => event === 'next').map(({ data }) => data);
  return {
    story: () =>
      source.all.map(({ event, data }) => (event === 'ping' ? (data.live === true ? 'live' : 'ping') : label(data))),
    cursorOf: n => cursorOf(nexts(), n),
  };
};

interface Next {
  data: Record<string, { n: number }>;
  extensions: { cursor: string; replayed?: true };
}

const numberOf = ({ data }: Next) => Object.values(data)[0]?.n;
const label = (next: Next) => `${numberOf(next)}${next.extensions.replayed === true ? 'r' : ''}`;
const cursorOf = (all: readonly Next[], n: number) => all.find(next => numberOf(next) === n)?.extensions.cursor ?? '';

for (const [transport, subscribe] of [
  ['WebSocket', overWebSocket],
  ['SSE', overEvents],
] as const) {
  test(`${transport}: events from before the subscribe say so, and the first ping behind them that they are over`, async () => {
    const alice = userIn(0);
    const token = await lab.accessToken(alice);
    for (const n of [1, 2, 3]) await lab.note(alice, n);
    const first = await subscribe(token, notes, { from: 'earliest' });
    await until('the end of the replay', () => first.story().includes('live'));
    await lab.note(alice, 4);
    await until('the live one', () => first.story().includes('4'));
    assert.deepEqual(without('ping', first), ['1r', '2r', '3r', 'live', '4']);

    const resumed = await subscribe(token, notes, { cursor: first.cursorOf(2) });
    await until('the end of the replay', () => resumed.story().includes('live'));
    await lab.note(alice, 5);
    await until('the live one', () => resumed.story().includes('5') && first.story().includes('5'));
    assert.deepEqual(without('ping', resumed), ['3r', '4r', 'live', '5']);
    assert.deepEqual(without('ping', first), ['1r', '2r', '3r', 'live', '4', '5'], 'each is told for itself');
  });

  test(`${transport}: with nothing to replay the first ping says that it is over, and no other does`, async () => {
    const alice = userIn(1);
    const token = await lab.accessToken(alice);
    const now = await subscribe(token, notes);
    await until('the first ping', () => now.story().length > 0);
    await lab.note(alice, 1);
    await until('the live one', () => now.story().includes('1'));
    assert.deepEqual(now.story(), ['live', '1']);
  });

  test(`${transport}: a replay in which nothing matches comes to its end, over one partition and over all`, async () => {
    const [alice, bob] = [userIn(2), userIn(2)];
    const high = transport === 'SSE' ? 2_000 : 1_000;
    const token = await lab.accessToken(alice, { roles: ['auditor'] });
    for (const n of [1, 2, 3]) await lab.note(bob, n);
    const own = await subscribe(token, notes, { from: 'earliest' });
    const all = await subscribe(token, `subscription { allNotes(min: ${high}) { n } }`, { from: 'earliest' });
    for (const stream of [own, all]) await until('the end of the replay', () => stream.story().includes('live'));
    assert.deepEqual([without('ping', own), without('ping', all)], [['live'], ['live']]);
    await lab.note(alice, high);
    for (const stream of [own, all]) await until('the live one', () => stream.story().includes(`${high}`));
  });
}

function without(word: string, told: Told): string[] {
  return told.story().filter(item => item !== word);
}

test('regular pings name an operation no second time', async () => {
  const fast = await lab.gateway({ env: { PENSTOCK_GATEWAY_PING_INTERVAL_MS: '100' } });
  const socket = await openRawSocket(fast.wsUrl);
  sockets.push(socket);
  await socket.greet(await lab.accessToken(userIn(3)));
  socket.send({ id: 'x', type: 'subscribe', payload: { query: notes } });
  const pings = () => socket.received.filter(({ type }) => type === 'ping');
  await until('pings', () => pings().filter(({ payload }) => payload.cursors.x).length >= 4);
  assert.deepEqual(
    pings()
      .filter(({ payload }) => payload.live)
      .map(({ payload }) => payload.live),
    [['x']],
  );
  await fast.stop();
});
