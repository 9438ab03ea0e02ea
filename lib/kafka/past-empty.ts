import { LogTruncatedError, OffsetOutOfRangeError, UnreadableBatchError } from './errors.ts';
import type { RecordBatch } from './types.ts';

/**
 * Fetches from `offset` on until there are records or the log ends: control records, an aborted transaction, or what compaction
 * left of a batch are passed over, for there may be records behind them. After `hops` fetches without a record, or where a later
 * one finds what a caller must be told, it returns the empty batch that says how far it came: the next call goes on from there.
 */
export async function pastEmpty(
  fetchFrom: (offset: number, lastEpoch: number | undefined) => Promise<RecordBatch>,
  offset: number,
  lastEpoch: number | undefined,
  hops: number,
): Promise<RecordBatch> {
  let passed = await fetchFrom(offset, lastEpoch);
  for (let from = offset, hop = 1; hop < hops; hop++) {
    if (passed.records.length > 0 || passed.nextOffset >= passed.endOffset || passed.nextOffset === from) break;
    from = passed.nextOffset;
    try {
      passed = await fetchFrom(from, passed.lastEpoch);
    } catch (error) {
      if (isOfOffset(error)) break;
      throw error;
    }
  }
  return passed;
}

/** Whether the error is about the offset that was asked for, which is not the caller's. */
function isOfOffset(error: unknown): boolean {
  return (
    error instanceof UnreadableBatchError ||
    error instanceof LogTruncatedError ||
    error instanceof OffsetOutOfRangeError
  );
}
