import { type Growth, partitionOf } from '../kafka/index.ts';
import type { PartitionPosition, StreamPosition } from './types.ts';

/** A stretch of a partition in which a key's records lie. */
export interface Segment {
  partition: number;
  /** First offset of it. */
  from: number;
  /** Behind its last; infinite for the one that the key lives in now. */
  to: number;
}

/**
 * Where a key's records lie, in order: growing a topic gives a key another partition, and what was written before stays
 * where it was. @param growths of the topic, the oldest first; @param count its partitions now.
 */
export function pathOf(key: string, count: number, growths: readonly Growth[]): readonly Segment[] {
  const path: Segment[] = [];
  const eras = [...growths.map(({ from, ends }) => ({ count: from, ends })), { count, ends: undefined }];
  let before: readonly number[] = [];
  for (const era of eras) {
    const partition = partitionOf(key, era.count);
    const to = era.ends === undefined ? Number.POSITIVE_INFINITY : (era.ends[partition] ?? 0);
    const last = path.at(-1);
    if (last?.partition === partition) last.to = to;
    else path.push({ partition, from: before[partition] ?? 0, to });
    before = era.ends ?? [];
  }
  return path;
}

/** Nothing of anybody was written in it. */
export function isEmpty({ from, to }: Segment): boolean {
  return to <= from;
}

/**
 * On which segment a position is: the first known one that it has not passed, else the one behind the last that it has.
 * Undefined where it knows none of them. A key may come back to a partition: where the earlier stretch ends, the later one may
 * begin. Such an offset counts for the later one only if the position knows the end of what lies between, see
 * {@link withEnd}.
 */
export function segmentAt(path: readonly Segment[], positions: readonly PartitionPosition[]): number | undefined {
  const offsets = new Map(positions.map(({ partition, offset }) => [partition, offset]));
  let before: number | undefined;
  let passed: number | undefined;
  let begun: number | undefined;
  let empty: number | undefined;
  for (const [index, segment] of path.entries()) {
    const { partition, from, to } = segment;
    const next = (offsets.get(partition) ?? -2) + 1;
    const isKnown = next >= from;
    if (isEmpty(segment)) {
      if (isKnown) empty ??= index;
      continue;
    }
    if (isKnown) {
      const mayBeEarlier = next === from && before !== undefined && passed !== before;
      if (mayBeEarlier) begun ??= index;
      else if (next < to) return index;
      else passed = index;
    }
    before = index;
  }
  const found = passed === undefined ? (empty ?? begun) : passed + 1;
  return found === undefined ? undefined : nextOf(path, found);
}

/** The segment at this index, or the first behind it in which there may be something. */
export function nextOf(path: readonly Segment[], index: number): number {
  let next = index;
  for (let segment = path[next]; segment !== undefined && isEmpty(segment); segment = path[next]) next += 1;
  return next;
}

/** The position as a cursor must have it: at the very beginning of a segment, with the end of the one before. */
export function withEnd(path: readonly Segment[], index: number, position: StreamPosition): StreamPosition {
  const [item] = position.partitions;
  const before = path.slice(0, index).findLast(segment => !isEmpty(segment));
  if (item === undefined || before === undefined || item.offset + 1 !== path[index]?.from) return position;
  const end = { topic: item.topic, partition: before.partition, offset: before.to - 1, timestampMs: -1 };
  return { ...position, partitions: before.partition === item.partition ? [item] : [end, item] };
}
