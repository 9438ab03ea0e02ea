import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionOf } from '../../lib/kafka/index.ts';
import { checkStreams, wantedOf } from './check.ts';
import { type Field, Ids, Numbers, type Recording } from './evidence.ts';
import { type TopicTruth, truthBuilder } from './truth.ts';

const partitions = 4;

/** A log of ticks: `key n sequence`, each in its key's partition unless another is given. */
function truthOf(...lines: readonly [key: string, n: number, sequence: number, partition?: number][]): TopicTruth {
  const builder = truthBuilder('ticks', { partitions, startMs: 0, ids: new Ids() });
  for (const [index, [key, n, sequence, partition]] of lines.entries()) {
    builder.add({
      ...{ key, value: { n }, offset: index, timestampMs: index },
      headers: { ce_keysequence: String(sequence) },
      partition: partition ?? partitionOf(key, partitions),
    });
  }
  return builder.done();
}

function recorded(field: Field, user: string, ...got: readonly number[]): Recording {
  const [ids, arrivedMs] = [new Numbers(), new Numbers()];
  for (const n of got) {
    ids.push(n);
    arrivedMs.push(n);
  }
  return { client: `${user}/0`, user, field, ids, arrivedMs, endings: [], away: [] };
}

function verdictOf(truth: TopicTruth, recording: Recording) {
  const { named, deliveries, ...counts } = checkStreams([recording], new Map([['ticks', truth]]));
  assert.equal(deliveries, recording.ids.length);
  assert.equal(
    named.length,
    Object.values(counts).reduce((sum, count) => sum + count, 0),
  );
  return counts;
}

const none = { lost: 0, twice: 0, outOfOrder: 0, foreign: 0 };
const log = truthOf(['alice', 0, 1], ['bob', 1, 1], ['alice', 2, 2], ['alice', 3, 2], ['alice', 4, 3]);

test('a stream that is its part of the log has no violation', () => {
  assert.deepEqual(verdictOf(log, recorded('ticks', 'alice', 0, 2, 4)), none);
  assert.deepEqual(verdictOf(log, recorded('allTicks', 'auditor', 0, 1, 2, 4)), none);
  assert.equal(wantedOf(recorded('ticks', 'alice'), log), 3);
  assert.equal(wantedOf(recorded('allTicks', 'auditor'), log), 4);
});

test('what is missing, comes again, comes late, or belongs to somebody else is told apart', () => {
  assert.deepEqual(verdictOf(log, recorded('ticks', 'alice', 0, 4)), { ...none, lost: 1 });
  assert.deepEqual(verdictOf(log, recorded('ticks', 'alice', 0, 2, 2, 4)), { ...none, twice: 1 });
  assert.deepEqual(verdictOf(log, recorded('ticks', 'alice', 2, 0, 4)), { ...none, outOfOrder: 1 });
  assert.deepEqual(verdictOf(log, recorded('ticks', 'alice', 0, 1, 2, 4)), { ...none, foreign: 1 });
  assert.deepEqual(verdictOf(log, recorded('ticks', 'alice', 0, 2, 4, 99)), { ...none, foreign: 1 });
});

test('a repeat by sequence is a violation in an OWN stream, and allowed once in an ALL stream', () => {
  assert.deepEqual(verdictOf(log, recorded('ticks', 'alice', 0, 2, 3, 4)), { ...none, twice: 1 });
  assert.deepEqual(verdictOf(log, recorded('allTicks', 'auditor', 0, 1, 2, 3, 4)), none);
  assert.deepEqual(verdictOf(log, recorded('allTicks', 'auditor', 0, 1, 2, 3, 3, 4)), { ...none, twice: 1 });
});

test("a record in another partition than its key's belongs to ALL streams only", () => {
  const elsewhere = (partitionOf('alice', partitions) + 1) % partitions;
  const truth = truthOf(['alice', 0, 1], ['alice', 1, 2, elsewhere]);
  assert.deepEqual(verdictOf(truth, recorded('ticks', 'alice', 0)), none);
  assert.deepEqual(verdictOf(truth, recorded('ticks', 'alice', 0, 1)), { ...none, foreign: 1 });
  assert.deepEqual(verdictOf(truth, recorded('allTicks', 'auditor', 1, 0)), none);
  assert.deepEqual(verdictOf(truth, recorded('allTicks', 'auditor', 0)), { ...none, lost: 1 });
});
