import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Feed } from '../../../services/projector/feed.ts';
import { recordAt } from '../../lib/replay/one-partition.ts';

const at = { topic: 'topic', partition: 0 };
const claimed = { ...at, next: 0, epoch: 1, topicId: 'id' };
const batch = (from: number, to: number) => ({
  ...at,
  records: Array.from({ length: to - from }, (_, index) => recordAt(from + index)),
  ...{ nextOffset: to, endOffset: to, topicId: 'id' },
});

test('a batch is taken, however many records it has', () => {
  const feed = new Feed(claimed, 1_000_000);
  feed.add(batch(0, 500_000));
  assert.equal(feed.peek(1_000_000).records.length, 500_000);
  assert.equal(feed.fetched, 500_000);
});

test('the oldest record is the first that is not applied', () => {
  const feed = new Feed(claimed, 1_000_000);
  assert.equal(feed.oldestMs, undefined);
  feed.add({
    ...batch(0, 3),
    records: [10, 20, 30].map((timestampMs, offset) => ({ ...recordAt(offset), timestampMs })),
  });
  assert.equal(feed.oldestMs, 10);
  feed.passed(2);
  assert.equal(feed.oldestMs, 30);
  feed.passed(3);
  assert.equal(feed.oldestMs, undefined);
});

test('a batch of which some was taken already adds the rest, each record once', () => {
  const feed = new Feed(claimed, 1_000_000);
  feed.add(batch(0, 3));
  feed.add(batch(0, 5));
  feed.add(batch(0, 5));
  assert.deepEqual(
    feed.peek(10).records.map(({ offset }) => offset),
    [0, 1, 2, 3, 4],
  );
  feed.passed(5);
  feed.add(batch(3, 5));
  assert.equal(feed.hasWork, false);
  assert.deepEqual([feed.next, feed.fetched, feed.hasRoom], [5, 5, true]);
});
