import { Numbers } from '../evidence.ts';
import type { LogBuilder } from './log.ts';
import { placeOf } from './windows.ts';

/** An append that Redis took: what it says to be all records of all keys in a stretch of the log. */
export interface Append {
  window: string;
  /** The stretch begins behind it. */
  after: number;
  /** The last offset of the stretch. */
  tail: number;
  records: number;
  /** Of the records' offsets. */
  sum: number;
}

/** Every append of a run, small enough for a million. */
export interface Appends {
  add(append: Append): void;
  /** Those that are not as the log; what was appended to the log after it was read cannot be judged. */
  untruths(logs: ReadonlyMap<string, LogBuilder>): string[];
}

export function openAppends(): Appends {
  const windows = new Map<string, { after: Numbers; tail: Numbers; records: Numbers; sum: Numbers }>();
  return {
    add({ window, after, tail, records, sum }) {
      const columns = windows.get(window) ?? {
        ...{ after: new Numbers(), tail: new Numbers(), records: new Numbers(), sum: new Numbers() },
      };
      windows.set(window, columns);
      columns.after.push(after + 1); // it may be -1
      columns.tail.push(tail);
      columns.records.push(records);
      columns.sum.push(sum); // modulo 2^32
    },
    untruths(logs) {
      const found: string[] = [];
      for (const [window, { after, tail, records, sum }] of windows) {
        const { topic, partition } = placeOf(window);
        const log = logs.get(topic)?.partition(partition);
        if (log === undefined) continue;
        const offsets = Uint32Array.from([...log.offsetsOf.values()].flat()).sort();
        for (const [index, last] of tail.view().entries()) {
          const first = after.view()[index] ?? 0;
          if (last >= log.end) continue;
          const wanted = offsets.subarray(placeIn(offsets, first), placeIn(offsets, last + 1));
          const total = wanted.reduce((all, offset) => (all + offset) >>> 0, 0);
          const got = records.view()[index] ?? 0;
          if (got === wanted.length && sum.view()[index] === total) continue;
          found.push(`${window}: ${got} records are all of ${first}–${last}; the log has ${wanted.length} with a key`);
        }
      }
      return found;
    },
  };
}

/** How many of ascending offsets are less. */
function placeIn(offsets: Uint32Array, offset: number): number {
  let [low, high] = [0, offsets.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((offsets[middle] ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
