import type { Intake, Span } from './types.ts';

/** One partition's records in a batch, in order of offset. */
export interface Slice extends Span {
  intakes: readonly Intake[];
}

/** What one transaction takes up: slices of different partitions. */
export type Batch = readonly Slice[];

export function sizeOfBatch(batch: Batch): number {
  return batch.reduce((sum, slice) => sum + slice.intakes.length, 0);
}

/**
 * Halves a batch so that one half after the other moves the positions as the whole would have. Undefined for a batch
 * of one record.
 */
export function splitBatch(batch: Batch): readonly [Batch, Batch] | undefined {
  const size = sizeOfBatch(batch);
  if (size < 2) return undefined;
  const first: Slice[] = [];
  const second: Slice[] = [];
  let left = Math.ceil(size / 2);
  for (const slice of batch) {
    const head = slice.intakes.slice(0, left);
    const [next] = slice.intakes.slice(head.length);
    left -= head.length;
    if (next === undefined) first.push(slice);
    else if (head.length === 0) second.push(slice);
    else {
      first.push({ ...slice, toOffset: next.at.offset, toLeaderEpoch: undefined, intakes: head });
      second.push({ ...slice, fromOffset: next.at.offset, intakes: slice.intakes.slice(head.length) });
    }
  }
  return [first, second];
}
