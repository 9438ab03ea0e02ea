import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Bounds } from '../../../lib/replay/fresh-offsets.ts';
import { earliestPoint, judgeStart } from '../../../lib/replay/start.ts';
import { isSameTopic, topicMark } from '../../../lib/replay/topic-mark.ts';

const topicId = 'q2Lr8mVhTyKqYw3cOx1n5A';
const known = 1_790_000_000_000;
const cases: readonly [string, number, number, Omit<Bounds, 'topicId'> | undefined, string][] = [
  ['in the middle of the log', 5, -1, { start: 0, end: 10 }, 'good'],
  ['in the middle, with a timestamp', 5, known, { start: 0, end: 10 }, 'check'],
  ['on the last record', 9, known, { start: 0, end: 10 }, 'check'],
  ['right before the first record', 2, known, { start: 3, end: 10 }, 'good'],
  ['before everything in an empty log', -1, -1, { start: 0, end: 0 }, 'good'],
  ['behind a log whose records are all gone', 9, known, { start: 10, end: 10 }, 'good'],
  ['with lost records behind it', 1, known, { start: 3, end: 10 }, 'expired'],
  ['before everything, when the beginning is gone', -1, -1, { start: 1, end: 10 }, 'expired'],
  ['on the next record to be written', 10, known, { start: 0, end: 10 }, 'expired'],
  ['far past the end', 1_000, -1, { start: 0, end: 10 }, 'expired'],
  ['in an empty log that had records', 4, known, { start: 0, end: 0 }, 'expired'],
  ['in a partition that is gone', 4, known, undefined, 'expired'],
];
for (const [name, offset, timestampMs, bounds, verdict] of cases) {
  test(`a position ${name} is ${verdict}`, () => {
    const log = bounds && { ...bounds, topicId };
    assert.equal(judgeStart({ offset, timestampMs }, log, undefined).verdict, verdict);
    assert.equal(judgeStart({ offset, timestampMs }, log, topicMark(topicId)).verdict, verdict);
  });
}

/** What the log says of the position's epoch, 4: its largest epoch up to that, and where that ends. */
const histories: readonly [string, number, { leaderEpoch: number; endOffset: number } | undefined, string][] = [
  ['of an epoch that reaches further', 5, { leaderEpoch: 4, endOffset: 6 }, 'good'],
  ['whose epoch nobody can tell of', 5, undefined, 'good'],
  ['on the first record behind what is left of its epoch', 5, { leaderEpoch: 4, endOffset: 5 }, 'expired'],
  ['far behind what is left of its epoch', 8, { leaderEpoch: 4, endOffset: 2 }, 'expired'],
  [
    'of an epoch of which nothing is left, though the one before reaches as far',
    5,
    { leaderEpoch: 3, endOffset: 9 },
    'expired',
  ],
  ['of an epoch that the cluster never had', 5, { leaderEpoch: -1, endOffset: 0 }, 'expired'],
];
for (const [name, offset, epochEnd, verdict] of histories) {
  test(`a position ${name} is ${verdict}`, () => {
    const position = { offset, timestampMs: -1, leaderEpoch: 4 };
    const judged = judgeStart(position, { start: 0, end: 10, topicId }, topicMark(topicId), epochEnd);
    assert.equal(judged.verdict, verdict);
    assert.equal(judged.verdict === 'expired' && judged.truncated, verdict === 'expired');
    // Its epoch not known, as in cursors of before, it is believed.
    assert.equal(
      judgeStart({ offset, timestampMs: -1 }, { start: 0, end: 10, topicId }, undefined, epochEnd).verdict,
      'good',
    );
  });
}

test('sequences still count where only retention has passed, not where the log may be another', () => {
  const verdictOf = (offset: number) =>
    judgeStart({ offset, timestampMs: -1 }, { start: 3, end: 10, topicId }, undefined);
  assert.deepEqual(verdictOf(1), { verdict: 'expired', reason: 'the log begins after it', anew: false });
  assert.deepEqual(verdictOf(10), { verdict: 'expired', reason: 'the log ends before it', anew: true });
});

test('what is gone goes on at the beginning of the log', () => {
  assert.deepEqual(earliestPoint({ start: 3, end: 10, topicId }), { offset: 2, timestampMs: -1 });
  assert.deepEqual(earliestPoint(undefined), { offset: -1, timestampMs: -1 });
});

test('a position of another topic is expired, whatever offsets this one has; one that names none is believed', () => {
  const other = topicMark('q2Lr8mVjTyKqYw3cOx1n5A');
  assert.deepEqual(judgeStart({ offset: 5, timestampMs: known }, { start: 0, end: 10, topicId }, other), {
    verdict: 'expired',
    reason: 'the topic was made anew',
    anew: true,
  });
  assert.equal(isSameTopic(undefined, topicId), true);
  assert.equal(isSameTopic(other, undefined), true);
  assert.equal(isSameTopic(other, topicId), false);
});
