import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type LogRecord, logRecord } from '../../../lib/replay/log-record.ts';
import { openRings } from '../../../lib/replay/ring.ts';

function record(partition: number, offset: number): LogRecord {
  return logRecord({
    topic: 't',
    partition,
    offset,
    timestampMs: 1_000 + offset,
    key: Buffer.from('k'),
    value: Buffer.alloc(40),
    headers: {},
  });
}

/** What happens to two rings: records come (with gaps), a ring is dropped, a tail begins anew further on. */
const steps = fc.array(
  fc.record({
    ring: fc.nat({ max: 1 }),
    what: fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ records: fc.array(fc.nat({ max: 2 }), { maxLength: 4 }), gap: fc.nat({ max: 1 }) }),
      },
      { weight: 1, arbitrary: fc.constant('drop' as const) },
      { weight: 1, arbitrary: fc.constant('jump' as const) },
    ),
  }),
  { maxLength: 60 },
);

test('a ring answers completely for whatever it says that it reaches, within the budget of all rings', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 4_000 }), (script, budget) => {
      const rings = openRings(budget);
      const both = [0, 1].map(partition => ({ partition, ring: rings.open(), next: 0, log: [] as LogRecord[] }));
      for (const { ring: which, what } of script) {
        const one = both[which];
        assert.ok(one);
        if (what === 'drop') one.ring.drop();
        else if (what === 'jump') one.next += 10;
        else {
          const from = one.next;
          const records = what.records.map(gap => {
            const made = record(one.partition, one.next + gap);
            one.next += gap + 1;
            return made;
          });
          one.next += what.gap;
          one.log.push(...records);
          one.ring.append(from, records, one.next);
        }
        assert.ok(rings.bytes() <= budget, `${rings.bytes()} bytes of ${budget}`);
        for (const { ring, log, next } of both) {
          for (let after = -1; after < next; after += 1) {
            if (!ring.reaches(after)) continue;
            const until = next - 1;
            const expected = log.filter(({ record: { offset } }) => offset > after && offset < until);
            assert.deepEqual([...ring.after(after, until)], expected);
          }
          for (const {
            record: { offset, timestampMs },
          } of log) {
            const seen = ring.timestampAt(offset);
            assert.ok(seen === undefined || seen === timestampMs);
            if (ring.reaches(offset - 1)) assert.equal(seen, timestampMs);
          }
        }
      }
    }),
    { numRuns: Number(process.env.TEST_SCHEDULES ?? 300) },
  );
});

test('the oldest records go first, whichever partition they are of', () => {
  const rings = openRings(2_000);
  const [first, second] = [rings.open(), rings.open()];
  first.append(0, [record(0, 0)], 1);
  for (let offset = 0; offset < 50; offset += 1) second.append(offset, [record(1, offset)], offset + 1);
  assert.equal(first.reaches(-1), false);
  assert.equal(first.reaches(0), true);
  assert.equal(second.reaches(20), false);
  assert.equal(second.reaches(48), true);
});

test('rings that come and go leave nothing behind', () => {
  const rings = openRings(1_000_000);
  for (let round = 0; round < 3_000; round += 1) {
    const ring = rings.open();
    ring.append(0, [record(0, 0), record(0, 1)], 2);
    ring.append(2, [record(0, 2)], 3);
    ring.drop();
  }
  assert.equal(rings.bytes(), 0);
});
