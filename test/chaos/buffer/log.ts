import type { DumpedRecord } from '../../support/dump.ts';

/** Which key has which offsets in a partition, as it lies in the log: all records, whether they fit a type or not. */
export interface PartitionLog {
  /** Behind the last record. */
  end: number;
  /** Each ascending. */
  offsetsOf: ReadonlyMap<string, readonly number[]>;
}

export interface LogBuilder {
  /** In offset order within each partition. */
  add(record: Pick<DumpedRecord, 'partition' | 'offset' | 'key'>): void;
  partition(partition: number): PartitionLog;
}

export function openLog(): LogBuilder {
  const partitions = new Map<number, { end: number; offsetsOf: Map<string, number[]> }>();
  return {
    add({ partition, offset, key }) {
      const log = partitions.get(partition) ?? { end: 0, offsetsOf: new Map<string, number[]>() };
      partitions.set(partition, log);
      log.end = offset + 1;
      if (key === null) return;
      const offsets = log.offsetsOf.get(key);
      if (offsets === undefined) log.offsetsOf.set(key, [offset]);
      else offsets.push(offset);
    },
    partition: partition => partitions.get(partition) ?? { end: 0, offsetsOf: new Map() },
  };
}
