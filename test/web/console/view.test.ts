import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noHistory, trendOf, withSample } from '../../../web/console/fleet/history.ts';
import type { GatewayState, InstanceState, Tenure } from '../../../web/console/fleet/types.ts';
import { type Entry, viewOf } from '../../../web/console/fleet/view.ts';

const nowMs = Date.parse('2026-01-01T00:01:00Z');
const now = { newestMs: nowMs, sinceMs: 0 };

interface Wishes {
  ageMs?: number;
  status?: InstanceState['status'];
  partitions?: readonly [number, Tenure, number, ({ sessions?: number; lagRecords?: number | null } | undefined)?][];
  gateway?: Partial<GatewayState>;
}

/** A gateway that says it has these partitions: number, tenure, epoch. */
function gateway(name: string, { ageMs = 0, status = 'READY', partitions = [], gateway = {} }: Wishes = {}): Entry {
  const state: InstanceState = {
    ...{ key: `gateway/${name}`, instance: name, service: 'gateway', version: '1', status, intervalMs: 1_000 },
    ...{ memoryBytes: 1, cpu: 0.5, reasons: [], router: null, commandHandler: null, projector: null },
    publishedAt: new Date(nowMs - ageMs).toISOString(),
    startedAt: '2026-01-01T00:00:00Z',
    gateway: {
      ...{ address: `http://${name}`, partitionCount: 3, connections: 2, deliveredPerSecond: 4, commandsWaiting: 0 },
      ...{ lagRecords: 0, lagSeconds: 0, expired: 0, subscriptions: [], replays: [], handoffs: [] },
      partitions: partitions.map(([number, tenure, epoch, more = {}]) => {
        return { number, state: tenure, epoch, sessions: 1, lagRecords: 0, lagSeconds: 0, ...more };
      }),
      ...gateway,
    },
  };
  return { state, publishedMs: nowMs - ageMs };
}

const owners = (entries: readonly Entry[]) =>
  viewOf(entries, now).partitions.map(({ owner, state, epoch }) => [owner, state, epoch]);

test('each partition shows its owner, and one that nobody claims shows that', () => {
  const entries = [
    gateway('a', { partitions: [[0, 'OWNED', 5]] }),
    gateway('b', {
      partitions: [
        [1, 'CLAIMING', 2],
        [0, 'FOREIGN', 0],
      ],
    }),
  ];
  assert.deepEqual(owners(entries), [
    ['a', 'owned', 5],
    ['b', 'claiming', 2],
    [undefined, 'no owner', null],
  ]);
  const [first] = viewOf(entries, now).partitions;
  assert.equal(first?.sessions, 2, 'sessions that are still at another gateway count');
  assert.equal(first?.cells.get('b')?.tenure, 'FOREIGN');
});

test('of two gateways that both own a partition the newer epoch counts', () => {
  const old = gateway('a', { partitions: [[0, 'OWNED', 5]] });
  const young = gateway('b', { partitions: [[0, 'OWNED', 6]], ageMs: 900 });
  assert.deepEqual(owners([old, young])[0], ['b', 'owned', 6]);
});

test('what a silent gateway has said is not known any more, and goes behind whoever is heard', () => {
  const silent = gateway('a', {
    partitions: [
      [0, 'OWNED', 9],
      [1, 'OWNED', 9],
    ],
    ageMs: 10_000,
  });
  const heard = gateway('b', { partitions: [[0, 'CLAIMING', 9]] });
  const [taken, orphaned] = viewOf([silent, heard], now).partitions;
  assert.deepEqual([taken?.owner, taken?.state], ['b', 'claiming']);
  assert.deepEqual([orphaned?.owner, orphaned?.state, orphaned?.epoch], ['a', 'silent', 9]);
  assert.deepEqual([orphaned?.sessions, orphaned?.lagRecords, orphaned?.lagSeconds], [null, null, null]);
});

test('a lag that is not known makes the sum unknown, and hides no other partition', () => {
  const view = viewOf(
    [
      gateway('a', {
        partitions: [
          [0, 'OWNED', 1, { lagRecords: null }],
          [1, 'OWNED', 1, { lagRecords: 7 }],
        ],
      }),
    ],
    now,
  );
  assert.deepEqual(
    view.partitions.map(({ lagRecords }) => lagRecords),
    [null, 7, null],
  );
  assert.equal(view.totals.lagRecords, null);
  assert.equal(view.totals.owned, 2);
});

test('a gateway that has gone, or is silent for a minute, is not shown', () => {
  const view = viewOf([gateway('a', { status: 'GONE' }), gateway('b', { ageMs: 70_000 }), gateway('c')], now);
  assert.deepEqual(
    view.instances.map(({ instance }) => instance),
    ['c'],
  );
});

test('the age of a state grows while nothing comes', () => {
  const [instance] = viewOf([gateway('a', { ageMs: 500 })], { newestMs: nowMs, sinceMs: 2_000 }).instances;
  assert.equal(instance?.ageMs, 2_500);
});

test('handoffs of all gateways are shown together, the newest first, with who had the partition before', () => {
  const handoff = (partition: number, epoch: number, second: number) => {
    return { partition, epoch, at: `2026-01-01T00:00:0${second}Z`, seconds: 0.1 };
  };
  const { handoffs } = viewOf(
    [
      gateway('a', { gateway: { handoffs: [handoff(0, 1, 1), handoff(0, 3, 5)] } }),
      gateway('b', { gateway: { handoffs: [handoff(0, 2, 3)] } }),
    ],
    now,
  );
  assert.deepEqual(
    handoffs.map(({ from, to, epoch }) => [from, to, epoch]),
    [
      ['b', 'a', 3],
      ['a', 'b', 2],
      [undefined, 'a', 1],
    ],
  );
});

test('a trend compares the newest five looks with the five before them', () => {
  const series = (before: number | null, after: number) => [...Array(5).fill(before), ...Array(5).fill(after)];
  assert.equal(trendOf(series(0, 0)), 'steady');
  assert.equal(trendOf(series(0, 50)), 'rising');
  assert.equal(trendOf(series(50, 0)), 'falling');
  assert.equal(trendOf(series(null, 0)), 'unknown');
  assert.equal(trendOf([1, 2]), 'unknown');
});

test('the history keeps three minutes', () => {
  let history = noHistory;
  const view = viewOf([gateway('a', { partitions: [[0, 'OWNED', 1]] })], now);
  for (let second = 0; second < 400; second++) history = withSample(history, view, second * 1_000);
  assert.equal(history.samples.length, 180);
  assert.equal(history.samples.at(-1)?.atMs, 399_000);
  assert.equal(history.lags.get(0)?.length, 10);
});
