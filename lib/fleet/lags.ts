import type { PartitionLag } from '../kafka/index.ts';
import { rounded } from './state.ts';

/** How far a process is behind over some partitions. */
export interface Lag {
  lagRecords: number | null;
  lagSeconds: number | null;
}

/** Returns the sum of records and the longest time; null as soon as one of them is not known, and where there are none. */
export function lagOver(lags: readonly PartitionLag[]): Lag {
  if (lags.length === 0) return { lagRecords: null, lagSeconds: null };
  let [records, seconds]: [number | undefined, number | undefined] = [0, 0];
  for (const lag of lags) {
    records = records === undefined || lag.records === undefined ? undefined : records + lag.records;
    seconds = seconds === undefined || lag.seconds === undefined ? undefined : Math.max(seconds, lag.seconds);
  }
  return { lagRecords: records ?? null, lagSeconds: rounded(seconds) };
}

/** The same for each group of them, in the order in which groups appear. */
export function lagsBy<Key>(lags: readonly PartitionLag[], keyOf: (lag: PartitionLag) => Key): Map<Key, Lag> {
  const groups = new Map<Key, PartitionLag[]>();
  for (const lag of lags) {
    const group = groups.get(keyOf(lag));
    if (group) group.push(lag);
    else groups.set(keyOf(lag), [lag]);
  }
  return new Map([...groups].map(([key, group]) => [key, lagOver(group)]));
}
