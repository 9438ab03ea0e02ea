import {
  type DirectReader,
  type EpochEnd,
  type KafkaRecord,
  LogTruncatedError,
  type ReadFault,
  type RecordSink,
  type Topics,
} from '../../../lib/kafka/index.ts';
import { openReplayBuffer } from '../../../lib/replay/buffer/buffer.ts';
import type { BufferStore } from '../../../lib/replay/buffer/types.ts';
import { openFreshOffsets } from '../../../lib/replay/fresh-offsets.ts';
import { openHistories } from '../../../lib/replay/history.ts';
import { openRings } from '../../../lib/replay/ring.ts';
import { openScans } from '../../../lib/replay/scan.ts';
import { openRecordStreams } from '../../../lib/replay/streams.ts';
import { openTails } from '../../../lib/replay/tail.ts';
import type { RecordStreams } from '../../../lib/replay/types.ts';
import { quietOps } from '../../support/quiet-ops.ts';

export const at = { topic: 'topic', partition: 0 };

/** The log of one partition, for what no broker can be made to do on demand. */
export interface OneLog {
  topicId: string;
  start: number;
  end: number;
  /** Leader epochs and their first offsets, in order; none: nobody knows any. */
  epochs?: readonly { leaderEpoch: number; from: number }[];
  /** The sequence of the record at an offset; absent: it has none. */
  sequenceAt?: (offset: number) => number;
}

export function recordAt(offset: number, valueBytes = 5, log?: OneLog): KafkaRecord {
  const [key, value] = [Buffer.from('user'), Buffer.alloc(valueBytes)];
  const leaderEpoch = log?.epochs?.findLast(({ from }) => from <= offset)?.leaderEpoch;
  const epoch = leaderEpoch === undefined ? {} : { leaderEpoch };
  const headers = log?.sequenceAt === undefined ? {} : { ce_keysequence: `${log.sequenceAt(offset)}` };
  return { ...at, offset, timestampMs: 1_000 + offset, ...epoch, key, value, headers };
}

/** As a broker answers (LeaderEpochFileCache.endOffsetFor). */
export function epochEndOf({ epochs = [], end }: OneLog, leaderEpoch: number): EpochEnd | undefined {
  if (leaderEpoch === epochs.at(-1)?.leaderEpoch) return { leaderEpoch, endOffset: end };
  const higher = epochs.find(one => one.leaderEpoch > leaderEpoch);
  if (higher === undefined) return undefined;
  const floor = epochs.findLast(one => one.leaderEpoch <= leaderEpoch);
  return { leaderEpoch: floor?.leaderEpoch ?? leaderEpoch, endOffset: higher.from };
}

/** Tails, scans and rings over one log that the test writes itself. */
export function openOnePartition(log: OneLog, valueBytes?: number) {
  let sink: RecordSink | undefined;
  let from = -1;
  let position = -1;
  let questions = 0;
  const reader: Pick<DirectReader, 'assign' | 'unassign'> = {
    assign(_, offset, taker) {
      sink = taker;
      from = offset;
      position = offset;
    },
    unassign() {},
  };
  const topics: Pick<Topics, 'identity' | 'partitionCount' | 'offsets' | 'fetch' | 'epochEnd'> = {
    identity: async () => ({ topicId: log.topicId, partitions: 1 }),
    partitionCount: async () => 1,
    offsets: async () => new Map([[0, { start: log.start, end: log.end }]]),
    async fetch(_, offset, _maxBytes, lastEpoch) {
      const found = lastEpoch === undefined ? undefined : epochEndOf(log, lastEpoch);
      if (found !== undefined && (found.leaderEpoch !== lastEpoch || found.endOffset < offset)) {
        throw new LogTruncatedError({ ...at, offset }, found);
      }
      const records: KafkaRecord[] = [];
      for (let next = offset; next < log.end; next++) records.push(recordAt(next, valueBytes, log));
      const { topicId, end } = log;
      const epoch = records.at(-1)?.leaderEpoch;
      return { ...at, topicId, records, nextOffset: Math.max(offset, end), endOffset: end, lastEpoch: epoch };
    },
    async epochEnd(_, leaderEpoch) {
      questions += 1;
      return epochEndOf(log, leaderEpoch);
    },
  };
  const close = (): void => {
    tails.close();
    scans.close();
  };
  const ops = quietOps();
  const metrics = { resumed() {}, expired() {}, scanned() {}, scansUnderWay() {} };
  const rings = openRings(1_000_000_000);
  const histories = openHistories(topics);
  const parts = { reader: reader as DirectReader, rings, histories, log: ops.log };
  const tails = openTails({ ...parts, offsets: openFreshOffsets(topics) });
  const limits = { concurrency: 4, maxWaiting: 100, stallTimeoutMs: 30_000 };
  const scans = openScans({ topics: topics as Topics, ...limits, metrics, log: ops.log });
  const liveRecords = (...records: KafkaRecord[]) => {
    const nextOffset = (records.at(-1)?.offset ?? 0) + 1;
    const lastEpoch = records.at(-1)?.leaderEpoch;
    position = nextOffset;
    sink?.onBatch({ ...at, topicId: log.topicId, records, nextOffset, endOffset: nextOffset, lastEpoch });
  };
  /** A gateway's whole side of streaming, over this log. */
  const streams = (): RecordStreams => {
    const config = {
      ...{ scanMaxBytes: 1e9, ...limits, openTimeoutMs: 10_000, ringBytes: 1_000_000 },
      ...{ keyRecords: 1_000, ageMs: 600_000, partitionBytes: 10_000_000 },
      ...{ appendIntervalMs: 1, appendsInFlight: 4, fillRecords: 1_000 },
    };
    return openRecordStreams({ reader: reader as DirectReader, topics: topics as Topics, config, ops });
  };
  return {
    ...{ tails, scans, rings, metrics, ops, streams, liveRecords },
    /** Where the tail began last: at the record before the end, so as to know of it. */
    from: () => from,
    /** How often a broker was asked where an epoch ends. */
    questions: () => questions,
    live: (...offsets: number[]) => liveRecords(...offsets.map(offset => recordAt(offset, valueBytes, log))),
    fault: (fault: ReadFault, diverging?: EpochEnd) =>
      sink?.onFault(fault, { ...at, offset: position, ...(diverging && { diverging }) }),
    buffer(store: Partial<BufferStore>, fillRecords = 1_000) {
      const config = { appendIntervalMs: 1, appendsInFlight: 4, fillRecords, ringBytes: 1_000_000_000 };
      return openReplayBuffer({
        ...{ store: store as BufferStore, topics: topics as Topics, scans, histories, ops, config },
      });
    },
    close,
  };
}
