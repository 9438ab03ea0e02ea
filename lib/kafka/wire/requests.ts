/**
 * The requests whose errors we want per partition. kafkajs has them too, but its `parse` throws a broker's whole answer
 * away for one bad partition. Versions: the newest without flexible fields that Kafka 4 still speaks.
 */
import type { ByteReader, ByteWriter } from './bytes.ts';

/** A request as {@link Link.send} takes it. */
export interface WireRequest<T> {
  apiKey: number;
  apiVersion: number;
  apiName: string;
  encode(writer: ByteWriter): void;
  decode(reader: ByteReader): T;
  /** When longer than the connection's own. */
  timeoutMs?: number;
}

export interface BrokerAddress {
  nodeId: number;
  host: string;
  port: number;
}

export interface TopicMetadata {
  topic: string;
  errorCode: number;
  /** `leader` is -1 while there is none. */
  partitions: { partition: number; errorCode: number; leader: number }[];
}

export interface MetadataAnswer {
  brokers: BrokerAddress[];
  clusterId: string | null;
  controllerId: number;
  topics: TopicMetadata[];
}

/** Brokers, and the given topics (none: just the brokers). Never creates a topic. */
export function metadataRequest(topics: readonly string[]): WireRequest<MetadataAnswer> {
  return {
    apiKey: 3,
    apiVersion: 6,
    apiName: 'Metadata',
    encode(writer) {
      writer.array(topics, topic => writer.string(topic)).int8(0);
    },
    decode(reader) {
      reader.int32(); // throttle time
      const brokers = reader.array(() => {
        const nodeId = reader.int32();
        const host = reader.string() ?? '';
        const port = reader.int32();
        reader.string(); // rack
        return { nodeId, host, port };
      });
      const clusterId = reader.string();
      const controllerId = reader.int32();
      const found = reader.array(() => {
        const errorCode = reader.int16();
        const topic = reader.string() ?? '';
        reader.int8(); // is internal
        const partitions = reader.array(() => {
          const partitionError = reader.int16();
          const partition = reader.int32();
          const leader = reader.int32();
          for (let list = 0; list < 3; list++) reader.array(() => reader.int32()); // replicas, in sync, offline
          return { partition, errorCode: partitionError, leader };
        });
        return { topic, errorCode, partitions };
      });
      return { brokers, clusterId, controllerId, topics: found };
    },
  };
}

export interface FetchTarget {
  topic: string;
  partition: number;
  offset: number;
  maxBytes: number;
}

export interface FetchedPartition {
  topic: string;
  partition: number;
  errorCode: number;
  highWatermark: number;
  records: Buffer;
}

export interface FetchOptions {
  maxWaitMs: number;
  minBytes: number;
  maxBytes: number;
}

/** Read uncommitted, outside of any fetch session. The broker serves targets in the order given. */
export function fetchRequest(
  targets: readonly FetchTarget[],
  { maxWaitMs, minBytes, maxBytes }: FetchOptions,
): WireRequest<{ errorCode: number; partitions: FetchedPartition[] }> {
  return {
    apiKey: 1,
    apiVersion: 11,
    apiName: 'Fetch',
    encode(writer) {
      writer.int32(-1).int32(maxWaitMs).int32(minBytes).int32(maxBytes).int8(0).int32(0).int32(-1);
      writer.array(runsOfTopic(targets), run => {
        writer.string(run.topic).array(run.items, target => {
          writer.int32(target.partition).int32(-1).int64(target.offset).int64(-1).int32(target.maxBytes);
        });
      });
      writer.int32(0).string('');
    },
    decode(reader) {
      reader.int32(); // throttle time
      const errorCode = reader.int16();
      reader.int32(); // session
      const partitions: FetchedPartition[] = [];
      const topicCount = reader.int32();
      for (let t = 0; t < topicCount; t++) {
        const topic = reader.string() ?? '';
        const partitionCount = reader.int32();
        for (let p = 0; p < partitionCount; p++) {
          const partition = reader.int32();
          const partitionError = reader.int16();
          const highWatermark = reader.int64();
          reader.position += 16; // last stable offset, log start offset
          const aborted = reader.int32();
          if (aborted > 0) reader.position += aborted * 16;
          reader.position += 4; // preferred read replica
          const size = reader.int32();
          const records = reader.take(Math.max(0, size));
          partitions.push({ topic, partition, errorCode: partitionError, highWatermark, records });
        }
      }
      return { errorCode, partitions };
    },
    timeoutMs: maxWaitMs + 5_000,
  };
}

/** Consecutive targets of one topic share its name on the wire. */
function runsOfTopic<T extends { topic: string }>(items: readonly T[]): { topic: string; items: T[] }[] {
  const runs: { topic: string; items: T[] }[] = [];
  for (const item of items) {
    const last = runs.at(-1);
    if (last?.topic === item.topic) last.items.push(item);
    else runs.push({ topic: item.topic, items: [item] });
  }
  return runs;
}

export interface ProduceTarget {
  topic: string;
  partition: number;
  /** One record batch. */
  batch: Buffer;
}

export interface ProducedPartition {
  topic: string;
  partition: number;
  errorCode: number;
  baseOffset: number;
}

/** acks=all; one batch a partition. `timeoutMs`: how long the leader waits for its replicas. */
export function produceRequest(targets: readonly ProduceTarget[], timeoutMs: number): WireRequest<ProducedPartition[]> {
  return {
    apiKey: 0,
    apiVersion: 7,
    apiName: 'Produce',
    encode(writer) {
      writer.string(null).int16(-1).int32(timeoutMs);
      writer.array(runsOfTopic(targets), run => {
        writer.string(run.topic).array(run.items, target => {
          writer.int32(target.partition).int32(target.batch.length).raw(target.batch);
        });
      });
    },
    decode(reader) {
      const answers: ProducedPartition[] = [];
      reader.array(() => {
        const topic = reader.string() ?? '';
        reader.array(() => {
          const partition = reader.int32();
          const errorCode = reader.int16();
          const baseOffset = reader.int64();
          reader.position += 16; // log append time, log start offset
          answers.push({ topic, partition, errorCode, baseOffset });
        });
      });
      return answers;
    },
    timeoutMs: timeoutMs + 2_000,
  };
}

/** A producer id of its own, without a transaction. */
export function initProducerIdRequest(): WireRequest<{ errorCode: number; producerId: bigint; producerEpoch: number }> {
  return {
    apiKey: 22,
    apiVersion: 1,
    apiName: 'InitProducerId',
    encode(writer) {
      writer.string(null).int32(60_000);
    },
    decode(reader) {
      reader.int32(); // throttle time
      return { errorCode: reader.int16(), producerId: reader.bigInt64(), producerEpoch: reader.int16() };
    },
  };
}

/** Timestamps with a meaning of their own in ListOffsets. */
export const latestTimestamp = -1;
export const earliestTimestamp = -2;

export interface ListedOffset {
  topic: string;
  partition: number;
  errorCode: number;
  timestampMs: number;
  /** -1 when no record is that young. */
  offset: number;
}

export function listOffsetsRequest(
  targets: readonly { topic: string; partition: number; timestampMs: number }[],
): WireRequest<ListedOffset[]> {
  return {
    apiKey: 2,
    apiVersion: 3,
    apiName: 'ListOffsets',
    encode(writer) {
      writer.int32(-1).int8(0);
      writer.array(runsOfTopic(targets), run => {
        writer.string(run.topic).array(run.items, target => writer.int32(target.partition).int64(target.timestampMs));
      });
    },
    decode(reader) {
      reader.int32(); // throttle time
      const answers: ListedOffset[] = [];
      reader.array(() => {
        const topic = reader.string() ?? '';
        reader.array(() => {
          const partition = reader.int32();
          const errorCode = reader.int16();
          const timestampMs = reader.int64();
          const offset = reader.int64();
          answers.push({ topic, partition, errorCode, timestampMs, offset });
        });
      });
      return answers;
    },
  };
}
