/** What the tests of streams share: a broker, topics, and a replica's side of streaming as often as wanted. */
import { type Lanes, openLanes, openReader } from '../../../lib/kafka/index.ts';
import type { Ops, PenstockConfig } from '../../../lib/ops/index.ts';
import type { RedisClient } from '../../../lib/redis/index.ts';
import {
  openRecordStreams,
  type RecordStream,
  type RecordStreams,
  type StreamPosition,
  type StreamRecord,
  type StreamRequest,
} from '../../../lib/replay/index.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';

export interface Replica {
  streams: RecordStreams;
  ops: Ops;
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
}

const replicaConfig: ReplicaConfig = {
  ...{
    scanMaxBytes: 1e9,
    concurrency: 4,
    maxWaiting: 10_000,
    openTimeoutMs: 10_000,
    stallTimeoutMs: 30_000,
    ringBytes: 0,
  },
  ...{ keyRecords: 1_000, ageMs: 600_000, partitionBytes: 10_000_000 },
  ...{ appendIntervalMs: 5, appendsInFlight: 8, fillRecords: 10_000 },
};

export interface StreamsOnKafka {
  kafka: ScratchKafka;
  lanes: Lanes;
  /** Another gateway's side of streaming: a reader and tails of its own. */
  replica(config?: Partial<ReplicaConfig>, redis?: { client: RedisClient; name: string }): Replica;
  /** Writes one record after the other. */
  write(topic: string, partition: number, records: readonly Written[]): Promise<void>;
  close(): Promise<void>;
}

export type ReplicaConfig = PenstockConfig<'replay'>['replay'];

export interface Written {
  key: string | Buffer | null;
  value?: string;
  sequence?: number;
}

export function openStreamsOnKafka(brokers?: readonly string[]): StreamsOnKafka {
  const kafka = openScratchKafka(brokers);
  const lanes = openLanes(kafka.connection, { bufferBytes: 50_000_000 });
  const closing: (() => Promise<void>)[] = [];
  return {
    kafka,
    lanes,
    replica(config = {}, redis) {
      const ops = quietOps('replica');
      const reader = openReader(kafka.connection, { maxWaitMs: 100, partitionBytes: 262_144 });
      const streams = openRecordStreams({
        reader,
        topics: kafka.topics,
        config: { ...replicaConfig, ...config },
        redis,
        ops,
      });
      closing.push(async () => {
        await streams.close();
        await streams.close();
        await reader.close();
      });
      return {
        streams,
        ops,
        async metric(name, labels = {}) {
          const { values } = (await ops.metrics.getSingleMetric(name)?.get()) ?? { values: [] };
          const found = values.find(one =>
            Object.entries(labels).every(([label, value]) => one.labels[label] === value),
          );
          return found?.value ?? Number.NaN;
        },
      };
    },
    async write(topic, partition, records) {
      await Promise.all(
        records.map(({ key, value = '', sequence }) =>
          lanes.send(
            { topic, partition },
            { key, value, ...(sequence === undefined ? {} : { headers: { ce_keysequence: `${sequence}` } }) },
          ),
        ),
      );
    },
    async close() {
      for (const close of closing) await close();
      await lanes.close();
      await kafka.close();
    },
  };
}

export function request(topic: string, more: Partial<StreamRequest> = {}): StreamRequest {
  return { topic, partitions: [0], key: undefined, start: { kind: 'now' }, bufferBytes: 1_000_000, ...more };
}

/** Takes this many records and advances past each. */
export async function take(stream: RecordStream, count: number): Promise<StreamRecord[]> {
  const taken: StreamRecord[] = [];
  while (taken.length < count) {
    const records = await stream.next();
    if (records === undefined) throw new Error(`the stream was closed after ${taken.length} of ${count} records`);
    for (const record of records) stream.advance(record);
    taken.push(...records);
  }
  return taken;
}

export const offsetsOf = (records: readonly StreamRecord[]) => records.map(({ record }) => record.offset);
export const valuesOf = (records: readonly StreamRecord[]) => records.map(({ record }) => record.value?.toString());

export function position(
  topic: string,
  ...points: [partition: number, offset: number, timestampMs?: number | undefined][]
): StreamPosition {
  return {
    partitions: points.map(([partition, offset, timestampMs = -1]) => ({ topic, partition, offset, timestampMs })),
    sequences: {},
  };
}

/** In kafkajs, but not in its types. */
interface DeletesRecords {
  deleteRecords(request: {
    topics: { topic: string; partitions: { partition: number; offset: string }[] }[];
  }): Promise<unknown>;
}

/** Moves the beginning of a partition, as retention does. */
export async function forget(kafka: ScratchKafka, topic: string, partition: number, before: number): Promise<void> {
  const cluster = kafka.connection.openCluster('forget');
  try {
    const { partitions } = await cluster.freshTopic(topic);
    const link = await cluster.link(partitions.find(one => one.partition === partition)?.leader ?? -1);
    await link.call(broker =>
      (broker as unknown as DeletesRecords).deleteRecords({
        topics: [{ topic, partitions: [{ partition, offset: `${before}` }] }],
      }),
    );
  } finally {
    cluster.close();
  }
}
