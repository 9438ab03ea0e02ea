import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openComparison } from '../../../web/console/proof/comparison.ts';

const ids = (count: number) => Array.from({ length: count }, (_, index) => `event-${index}`);
/** As the view has them: the newest first. */
const viewOf = (events: readonly string[]) => events.toReversed();

test('what arrives once, and is in the view, is delivered and neither lost nor twice', () => {
  const comparison = openComparison();
  const events = ids(10);
  for (const id of events) comparison.arrived(id);
  comparison.compare(viewOf(events), 0);
  assert.deepEqual(comparison.counts(), { delivered: 10, lost: 0, twice: 0 });
  assert.ok(comparison.isSettled('event-9'));
});

test('one event that is dropped on the way shows as one lost as soon as a later one has arrived', () => {
  const comparison = openComparison();
  const events = ids(5);
  for (const id of events) if (id !== 'event-3') comparison.arrived(id);
  comparison.compare(viewOf(events), 0);
  assert.deepEqual(comparison.counts(), { delivered: 4, lost: 1, twice: 0 });
  comparison.compare(viewOf(events), 1);
  assert.equal(comparison.counts().lost, 1, 'it is counted once');
  assert.ok(!comparison.isSettled('event-4'), 'what is before the newest one is compared again');
});

test('one event that is repeated on the way shows as one twice', () => {
  const comparison = openComparison();
  for (const id of ['a', 'b', 'b', 'c']) comparison.arrived(id);
  comparison.compare(['c', 'b', 'a'], 0);
  assert.deepEqual(comparison.counts(), { delivered: 4, lost: 0, twice: 1 });
});

test('the newest event may be on its way for a while; then it is lost, and when it comes after all it is not', () => {
  const comparison = openComparison();
  comparison.arrived('a');
  comparison.compare(['b', 'a'], 0);
  comparison.compare(['b', 'a'], 14_000);
  assert.equal(comparison.counts().lost, 0);
  comparison.compare(['b', 'a'], 16_000);
  assert.equal(comparison.counts().lost, 1);
  comparison.arrived('b');
  assert.deepEqual(comparison.counts(), { delivered: 2, lost: 0, twice: 0 });
});

test('what is settled is forgotten but for the newest of it, and a replay of everything still shows as twice', () => {
  const comparison = openComparison();
  const events = ids(1_000);
  for (const [index, id] of events.entries()) {
    comparison.arrived(id);
    // As the page does: no further back than what is settled.
    const since = Math.max(0, index - 10);
    if (index % 10 === 9) comparison.compare(viewOf(events.slice(since, index + 1)), index);
  }
  assert.deepEqual(comparison.counts(), { delivered: 1_000, lost: 0, twice: 0 });
  for (const id of events) comparison.arrived(id);
  assert.equal(comparison.counts().twice, 101, 'the settled one, and the 100 before it');
});

test('whatever is dropped and repeated, and whenever it is compared, the counts are those of the schedule', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 60 }), fc.nat(59), (times, at) => {
      const comparison = openComparison();
      const events = ids(times.length);
      // The last one comes: so all that were dropped are known to be.
      const arrivals = times.map((count, index) => (index === times.length - 1 ? Math.max(1, count) : count));
      for (const [index, count] of arrivals.entries()) {
        for (let time = 0; time < count; time++) comparison.arrived(events[index] ?? '');
        if (index === at) comparison.compare(viewOf(events.slice(0, index + 1)), 0);
      }
      comparison.compare(viewOf(events), 1);
      assert.deepEqual(comparison.counts(), {
        delivered: arrivals.reduce((sum, count) => sum + count, 0),
        lost: arrivals.filter(count => count === 0).length,
        twice: arrivals.reduce((sum, count) => sum + Math.max(0, count - 1), 0),
      });
    }),
  );
});
