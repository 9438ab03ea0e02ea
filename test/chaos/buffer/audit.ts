import type { PartitionLog } from './log.ts';
import type { WindowContent } from './windows.ts';

/**
 * What a window says that the log does not bear out. It says of each key: which is its last record up to the tail; of a key
 * that it does not know, that there is none from `from` on; of each entry, that it is the key's record, and the next one
 * behind its predecessor. From these, and nothing else, a reader concludes that an answer is complete. Entries that are missing
 * are no fault: they expire, are trimmed and evicted, and the chain shows it.
 */
export function untruths({ name, tail, from, keys }: WindowContent, { end, offsetsOf }: PartitionLog): string[] {
  const found: string[] = [];
  /** What was appended to the log after it was read cannot be judged. */
  const known = Math.min(tail, end - 1);
  const none: readonly number[] = [];

  for (const { key, last, entries } of keys) {
    const offsets = offsetsOf.get(key) ?? none;
    const isRecord = (offset: number) => offset >= end || firstBehind(offsets, offset - 1) === offset;
    const say = (what: string) => found.push(`${name}: of ${key}, ${what}`);
    const later = firstBehind(offsets, last);
    if (later !== undefined && later <= known) say(`${last} is the last up to ${tail}; the log has ${later}`);
    if (last > tail) say(`the last, ${last}, is behind the tail, ${tail}`);
    if (!isRecord(last)) say(`the last is ${last}, which is not in the log`);
    for (const { offset, previous } of entries) {
      if (offset > tail) say(`an entry, ${offset}, is behind the tail, ${tail}`);
      if (!isRecord(offset)) say(`an entry, ${offset}, is not in the log`);
      const between = firstBehind(offsets, previous);
      if (offset < end && (between ?? offset) < offset)
        say(`${offset} comes behind ${previous}; the log has ${between} between`);
    }
  }
  const told = new Set(keys.map(({ key }) => key));
  for (const [key, offsets] of offsetsOf) {
    const first = told.has(key) ? undefined : firstBehind(offsets, from - 1);
    if (first !== undefined && first <= known)
      found.push(`${name}: of ${key}, nothing from ${from} on; the log has ${first}`);
  }
  return found;
}

/** The least of ascending offsets that is greater. */
function firstBehind(offsets: readonly number[], offset: number): number | undefined {
  let [low, high] = [0, offsets.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((offsets[middle] ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return offsets[low];
}
