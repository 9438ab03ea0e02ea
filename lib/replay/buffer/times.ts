import type { LogRecord } from '../log-record.ts';

/** Offsets a block. The scripts are told block and position, they know nothing of it. */
const blockOffsets = 1_024;
const timeBytes = 8;

/** Where the timestamp of an offset stands: in which block, from which byte on. */
export function timesBlock(offset: number): { block: number; position: number } {
  return { block: Math.floor(offset / blockOffsets), position: (offset % blockOffsets) * timeBytes };
}

/**
 * The timestamps (plus one, so that zero is none; big-endian, 8 bytes) of consecutive records, one stretch a block: a
 * cursor's timestamp can be compared without asking whose record it was.
 */
export function stretches(records: readonly LogRecord[]): { block: number; position: number; times: Buffer }[] {
  const found: { block: number; position: number; times: Buffer }[] = [];
  let begun = 0;
  while (begun < records.length) {
    const first = records[begun]?.record.offset ?? 0;
    const { block, position } = timesBlock(first);
    let end = begun + 1;
    while (end < records.length && timesBlock(records[end]?.record.offset ?? 0).block === block) end += 1;
    const last = records[end - 1]?.record.offset ?? first;
    const times = Buffer.alloc((last - first + 1) * timeBytes);
    for (const { record } of records.slice(begun, end)) {
      times.writeBigUInt64BE(BigInt(Math.max(0, record.timestampMs + 1)), (record.offset - first) * timeBytes);
    }
    found.push({ block, position, times });
    begun = end;
  }
  return found;
}
