import type { DirectReader, KafkaRecord, ReadFault, RecordSink, Topics } from '../../../lib/kafka/types.ts';
import { openReplayBuffer } from '../../../lib/replay/buffer/buffer.ts';
import type { BufferStore } from '../../../lib/replay/buffer/types.ts';
import { openFreshOffsets } from '../../../lib/replay/fresh-offsets.ts';
import { openRings } from '../../../lib/replay/ring.ts';
import { openScans } from '../../../lib/replay/scan.ts';
import { openTails } from '../../../lib/replay/tail.ts';
import { quietOps } from '../../support/quiet-ops.ts';

export const at = { topic: 'topic', partition: 0 };

/** The log of one partition, for what no broker can be made to do on demand. */
export interface OneLog {
  topicId: string;
  start: number;
  end: number;
}

export function recordAt(offset: number, valueBytes = 5): KafkaRecord {
  const [key, value] = [Buffer.from('user'), Buffer.alloc(valueBytes)];
  return { ...at, offset, timestampMs: 1_000 + offset, key, value, headers: {} };
}

/** Tails, scans and rings over one log that the test writes itself. */
export function openOnePartition(log: OneLog, valueBytes?: number) {
  let sink: RecordSink | undefined;
  let from = -1;
  const reader: Pick<DirectReader, 'assign' | 'unassign'> = {
    assign(_, offset, taker) {
      sink = taker;
      from = offset;
    },
    unassign() {},
  };
  const topics: Pick<Topics, 'identity' | 'partitionCount' | 'offsets' | 'fetch'> = {
    identity: async () => ({ topicId: log.topicId, partitions: 1 }),
    partitionCount: async () => 1,
    offsets: async () => new Map([[0, { start: log.start, end: log.end }]]),
    async fetch(_, offset) {
      const records: KafkaRecord[] = [];
      for (let next = offset; next < log.end; next++) records.push(recordAt(next, valueBytes));
      const { topicId, end } = log;
      return { ...at, topicId, records, nextOffset: Math.max(offset, end), endOffset: end };
    },
  };
  const ops = quietOps();
  const metrics = { resumed() {}, expired() {}, scanned() {}, scansUnderWay() {} };
  const rings = openRings(1_000_000_000);
  const parts = { reader: reader as DirectReader, rings, log: ops.log };
  const tails = openTails({ ...parts, offsets: openFreshOffsets(topics) });
  const limits = { concurrency: 4, maxWaiting: 100, stallTimeoutMs: 30_000 };
  const scans = openScans({ topics: topics as Topics, ...limits, metrics, log: ops.log });
  const liveRecords = (...records: KafkaRecord[]) => {
    const nextOffset = (records.at(-1)?.offset ?? 0) + 1;
    sink?.onBatch({ ...at, topicId: log.topicId, records, nextOffset, endOffset: nextOffset });
  };
  return {
    ...{ tails, scans, rings, metrics, ops, liveRecords },
    /** Where the tail began last. */
    from: () => from,
    live: (...offsets: number[]) => liveRecords(...offsets.map(offset => recordAt(offset))),
    fault: (fault: ReadFault) => sink?.onFault(fault, { ...at, offset: log.end }),
    buffer(store: Partial<BufferStore>, fillRecords = 1_000) {
      const config = { appendIntervalMs: 1, appendsInFlight: 4, fillRecords, ringBytes: 1_000_000_000 };
      return openReplayBuffer({ store: store as BufferStore, topics: topics as Topics, scans, ops, config });
    },
    close() {
      tails.close();
      scans.close();
    },
  };
}
