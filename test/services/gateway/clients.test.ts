import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openClients } from '../../../services/gateway/clients.ts';
import { until } from '../../support/until.ts';

const afterEvent = (_withinMs: number, run: () => void) => run();

function client(partition: number, moved: number[]) {
  return { partition, routed: true, moveOn: () => void moved.push(partition), afterEvent };
}

test('only the clients of the partition are asked to move on', async () => {
  const clients = openClients();
  const moved: number[] = [];
  for (const partition of [1, 1, 2]) clients.add(client(partition, moved));
  clients.moveOn(1, 5);
  await until('both have moved', () => moved.length === 2);
  assert.deepEqual(moved, [1, 1]);
  clients.moveOn(2, 0, undefined, ({ routed }) => !routed);
  clients.moveOn(1, 0, undefined, ({ routed }) => routed);
  await until('the routed ones have moved', () => moved.length === 4);
  assert.deepEqual(moved, [1, 1, 1, 1]);
});

test('clients move on spread over the window, of which its last part is for their next event', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const draws = [0, 0.5, 0.999];
  const patienceMs = new Set<number>();
  const clients = openClients(() => draws.shift() ?? 0);
  const moved: number[] = [];
  for (let index = 0; index < 3; index++) {
    clients.add({
      partition: 0,
      routed: false,
      moveOn: () => void moved.push(index),
      afterEvent(withinMs, run) {
        patienceMs.add(withinMs);
        run();
      },
    });
  }
  clients.moveOn(0, 1_000);
  for (const [afterMs, count] of [
    [1, 1],
    [435, 1],
    [2, 2],
    [435, 2],
    [2, 3],
  ] as const) {
    t.mock.timers.tick(afterMs);
    assert.equal(moved.length, count);
  }
  assert.deepEqual([...patienceMs], [125]);
});

test('one that moves by itself is told in the first half of the window, and closed at its end if it is still there', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const clients = openClients(() => 0.999);
  const said: string[] = [];
  const add = (name: string) =>
    clients.add({
      ...client(1, []),
      moveOn: () => void said.push(`${name} closed`),
      announceMove: () => void said.push(`${name} told`),
    });
  const leave = add('quick');
  add('slow');
  clients.moveOn(1, 1_000);
  t.mock.timers.tick(499);
  assert.deepEqual(said, []);
  t.mock.timers.tick(1);
  assert.deepEqual(said, ['quick told', 'slow told']);
  leave();
  t.mock.timers.tick(499);
  assert.equal(said.length, 2);
  t.mock.timers.tick(1);
  assert.deepEqual(said.slice(2), ['slow closed']);
});

test('one that moves by itself is left alone when its partition comes back, told or not, and closed at once where nobody waits', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const draws = [0, 0.5];
  const clients = openClients(() => draws.shift() ?? 0);
  const said: string[] = [];
  for (const name of ['first', 'second']) {
    clients.add({
      ...client(1, []),
      moveOn: () => void said.push(`${name} closed`),
      announceMove: () => void said.push(`${name} told`),
    });
  }
  let leaving = true;
  clients.moveOn(1, 1_000, () => leaving);
  t.mock.timers.tick(1);
  leaving = false;
  t.mock.timers.tick(2_000);
  assert.deepEqual(said, ['first told']);
  clients.moveOn(1, 0);
  t.mock.timers.tick(1);
  assert.deepEqual(said.slice(1), ['first closed', 'second closed']);
});

test('a client that has gone, or whose partition has come back, is left alone', async () => {
  const clients = openClients();
  const moved: number[] = [];
  const leave = clients.add(client(1, moved));
  clients.add(client(2, moved));
  clients.add(client(3, moved));
  let leaving = true;
  clients.moveOn(1, 0);
  clients.moveOn(2, 0, () => leaving);
  leave();
  leaving = false;
  clients.moveOn(3, 20);
  await until('the third has moved', () => moved.length > 0);
  assert.deepEqual(moved, [3]);
});

test('a client that waits for its event stays when its partition comes back', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const clients = openClients(() => 0);
  const moved: number[] = [];
  let event = () => {};
  clients.add({ ...client(1, moved), afterEvent: (_withinMs, run) => (event = run) });
  let leaving = true;
  clients.moveOn(1, 1_000, () => leaving);
  t.mock.timers.tick(1);
  leaving = false;
  event();
  assert.deepEqual(moved, []);
});

test('it is told when the last client of a partition has gone, once', () => {
  const clients = openClients();
  const emptied: number[] = [];
  const joined: number[] = [];
  clients.onEmptied(partition => emptied.push(partition));
  clients.onJoined(({ partition }) => joined.push(partition));
  const leave = [1, 1, 2].map(partition => clients.add(client(partition, [])));
  assert.equal(clients.count(), 3);
  assert.equal(clients.count(1), 2);
  leave[0]?.();
  assert.deepEqual(emptied, []);
  leave[0]?.();
  leave[1]?.();
  leave[1]?.();
  assert.deepEqual(emptied, [1]);
  leave[2]?.();
  assert.deepEqual(emptied, [1, 2]);
  assert.equal(clients.count(), 0);
  assert.deepEqual(joined, [1, 1, 2]);
});
