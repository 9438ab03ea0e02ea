import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogTruncatedError, OffsetOutOfRangeError, UnreadableBatchError } from '../../../lib/kafka/errors.ts';
import { pastEmpty } from '../../../lib/kafka/past-empty.ts';
import type { RecordBatch } from '../../../lib/kafka/types.ts';

const at = { topic: 't', partition: 0 };
const endless = Number.MAX_SAFE_INTEGER;

/** What ten offsets of nothing are answered with. */
const nothingFrom = (from: number): RecordBatch => ({
  ...{ ...at, topicId: 'id', records: [], nextOffset: from + 10, endOffset: endless, lastEpoch: from },
});

for (const error of [
  new LogTruncatedError({ ...at, offset: 20 }, { leaderEpoch: 1, endOffset: 15 }),
  new OffsetOutOfRangeError({ ...at, offset: 20 }),
  new UnreadableBatchError(at, { from: 20, to: 30 }, 'reason'),
]) {
  test(`${error.name} of a later offset than the caller's is not the caller's: he is told how far the log was empty`, async () => {
    const fetchFrom = async (offset: number): Promise<RecordBatch> => {
      if (offset >= 20) throw error;
      return nothingFrom(offset);
    };
    const { records, nextOffset } = await pastEmpty(fetchFrom, 0, undefined, endless);
    assert.deepEqual([records.length, nextOffset], [0, 20]);
    await assert.rejects(pastEmpty(fetchFrom, 20, undefined, endless), error);
  });
}

test('a log that is empty for long is read piece by piece, each piece with the epoch of the one before', async () => {
  const asked: [number, number | undefined][] = [];
  const fetchFrom = async (offset: number, lastEpoch: number | undefined): Promise<RecordBatch> => {
    assert.ok(asked.push([offset, lastEpoch]) <= 3, 'it goes on and on');
    return nothingFrom(offset);
  };
  assert.equal((await pastEmpty(fetchFrom, 0, undefined, 3)).nextOffset, 30);
  assert.deepEqual(asked, [
    [0, undefined],
    [10, 0],
    [20, 10],
  ]);
});
