import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Growth, partitionOf } from '../../../lib/kafka/index.ts';
import { isEmpty, pathOf, type Segment, segmentAt, withEnd } from '../../../lib/replay/path.ts';

const forEver = Number.POSITIVE_INFINITY;
const at = (partition: number, offset: number) => ({ topic: 't', partition, offset, timestampMs: -1 });

test('a topic that never grew is one segment', () => {
  assert.deepEqual(pathOf('alice', 24, []), [{ partition: partitionOf('alice', 24), from: 0, to: forEver }]);
});

const there: readonly Segment[] = [
  { partition: 1, from: 0, to: 10 },
  { partition: 4, from: 0, to: 20 },
  { partition: 1, from: 30, to: forEver },
];
const cases: readonly [string, [number, number][], number | undefined][] = [
  ['in the first partition', [[1, 3]], 0],
  ['before everything', [[1, -1]], 0],
  ['at the end of the first partition', [[1, 9]], 1],
  [
    'at the beginning of the stretch to which the key came back',
    [
      [4, 19],
      [1, 29],
    ],
    2,
  ],
  ['in the second', [[4, 5]], 1],
  ['at the end of the second', [[4, 19]], 2],
  ['behind it, where others have gone on', [[4, 700]], 2],
  ['back in the first partition', [[1, 40]], 2],
  [
    "of a view that has all of the first and half of the second's",
    [
      [1, 50],
      [4, 5],
    ],
    1,
  ],
  [
    'of a view from before the second growth',
    [
      [0, 7],
      [1, 9],
      [4, 3],
    ],
    1,
  ],
  ['in a partition where the key never was', [[2, 5]], undefined],
  ['nowhere', [], undefined],
];
for (const [name, offsets, expected] of cases) {
  test(`a position ${name} goes on ${expected === undefined ? 'nowhere' : `in segment ${expected}`}`, () => {
    assert.equal(
      segmentAt(
        there,
        offsets.map(([partition, offset]) => at(partition, offset)),
      ),
      expected,
    );
  });
}

test('however a topic grows, the path holds all of a key’s records in the order in which they were written', () => {
  const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
  const eras = fc.array(
    fc.record({ more: fc.integer({ min: 1, max: 5 }), written: fc.array(fc.constantFrom(...keys), { maxLength: 30 }) }),
    { minLength: 1, maxLength: 5 },
  );
  fc.assert(
    fc.property(eras, list => {
      const logs: { key: string; nth: number }[][] = [];
      const growths: Growth[] = [];
      let count = 0;
      let nth = 0;
      for (const { more, written } of list) {
        if (count > 0) growths.push({ from: count, to: count + more, topicId: '', ends: logs.map(log => log.length) });
        for (let added = 0; added < more; added++) logs.push([]);
        count += more;
        for (const key of written) logs[partitionOf(key, count)]?.push({ key, nth: nth++ });
      }
      for (const key of keys) {
        const path = pathOf(key, count, growths);
        const restFrom = (index: number, next: number) =>
          path
            .slice(index)
            .flatMap(({ partition, from, to }, later) =>
              (logs[partition] ?? [])
                .slice(later === 0 ? Math.max(from, next) : from, to === forEver ? undefined : to)
                .filter(record => record.key === key),
            );
        for (const [index, segment] of path.entries()) {
          if (isEmpty(segment)) continue;
          const { partition, from, to } = segment;
          const end = Math.min(to, logs[partition]?.length ?? 0);
          for (let offset = from - 1; offset < end; offset++) {
            const { partitions } = withEnd(path, index, { partitions: [at(partition, offset)], sequences: {} });
            const found = segmentAt(path, partitions);
            assert.ok(found !== undefined);
            const next = path[found]?.partition === partition ? offset + 1 : 0;
            assert.deepEqual(restFrom(found, next), restFrom(index, offset + 1));
          }
        }
        const found = restFrom(0, 0);
        const all = logs
          .flat()
          .filter(record => record.key === key)
          .sort((a, b) => a.nth - b.nth);
        assert.deepEqual(found, all);
      }
    }),
  );
});
