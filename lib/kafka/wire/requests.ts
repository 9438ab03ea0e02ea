/**
 * The requests whose errors we want per partition. kafkajs has them too, but its `parse` throws a broker's whole answer
 * away for one bad partition. Versions: the newest without flexible fields that Kafka 4 still speaks; where a topic's id is
 * needed (KIP-516), the first that have it. Kafka 3.1 or later.
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
  /** Of this topic and no other that ever has its name (KIP-516), as base64url; {@link noTopicId} where it is unknown. */
  topicId: string;
  errorCode: number;
  /** `leader` is -1 while there is none. */
  partitions: { partition: number; errorCode: number; leader: number }[];
}

/** What stands for no id. */
export const noTopicId = 'AAAAAAAAAAAAAAAAAAAAAA';

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
    apiVersion: 12,
    apiName: 'Metadata',
    encode(writer) {
      writer.noTags(); // of the header
      writer.compactArray(topics, topic => writer.uuid(noTopicId).compactString(topic).noTags());
      writer.int8(0).int8(0).noTags();
    },
    decode(reader) {
      reader.tags(); // of the header
      reader.int32(); // throttle time
      const brokers = reader.compactArray(() => {
        const nodeId = reader.int32();
        const host = reader.compactString() ?? '';
        const port = reader.int32();
        reader.compactString(); // rack
        reader.tags();
        return { nodeId, host, port };
      });
      const clusterId = reader.compactString();
      const controllerId = reader.int32();
      const found = reader.compactArray(() => {
        const errorCode = reader.int16();
        const topic = reader.compactString() ?? '';
        const topicId = reader.uuid();
        reader.int8(); // is internal
        const partitions = reader.compactArray(() => {
          const partitionError = reader.int16();
          const partition = reader.int32();
          const leader = reader.int32();
          reader.int32(); // leader epoch
          for (let list = 0; list < 3; list++) reader.compactArray(() => reader.int32()); // replicas, in sync, offline
          reader.tags();
          return { partition, errorCode: partitionError, leader };
        });
        reader.int32(); // authorized operations
        reader.tags();
        return { topic, topicId, errorCode, partitions };
      });
      return { brokers, clusterId, controllerId, topics: found };
    },
  };
}

export interface FetchTarget {
  topic: string;
  topicId: string;
  partition: number;
  offset: number;
  maxBytes: number;
}

export interface FetchedPartition {
  topic: string;
  topicId: string;
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

/**
 * Read uncommitted, outside of any fetch session. The broker serves targets in the order given. Topics go by their id: what
 * is read can't be another topic that has got the name meanwhile.
 */
export function fetchRequest(
  targets: readonly FetchTarget[],
  { maxWaitMs, minBytes, maxBytes }: FetchOptions,
): WireRequest<{ errorCode: number; partitions: FetchedPartition[] }> {
  return {
    apiKey: 1,
    apiVersion: 13,
    apiName: 'Fetch',
    encode(writer) {
      writer.noTags(); // of the header
      writer.int32(-1).int32(maxWaitMs).int32(minBytes).int32(maxBytes).int8(0).int32(0).int32(-1);
      writer.compactArray(runsOf(targets, 'topicId'), ([first, items]) => {
        writer.uuid(first.topicId).compactArray(items, target => {
          writer.int32(target.partition).int32(-1).int64(target.offset).int32(-1).int64(-1).int32(target.maxBytes);
          writer.noTags();
        });
        writer.noTags();
      });
      writer.compactArray([], () => undefined); // forgotten topics
      writer.compactString('').noTags(); // rack
    },
    decode(reader) {
      reader.tags(); // of the header
      reader.int32(); // throttle time
      const errorCode = reader.int16();
      reader.int32(); // session
      const names = new Map(targets.map(({ topicId, topic }) => [topicId, topic]));
      const partitions: FetchedPartition[] = [];
      for (let topics = reader.uvarint() - 1; topics > 0; topics--) {
        const topicId = reader.uuid();
        const topic = names.get(topicId) ?? '';
        for (let count = reader.uvarint() - 1; count > 0; count--) {
          const partition = reader.int32();
          const partitionError = reader.int16();
          const highWatermark = reader.int64();
          reader.position += 16; // last stable offset, log start offset
          for (let aborted = reader.uvarint() - 1; aborted > 0; aborted--) {
            reader.position += 16;
            reader.tags();
          }
          reader.position += 4; // preferred read replica
          const size = reader.uvarint() - 1;
          const records = reader.take(Math.max(0, size));
          reader.tags();
          partitions.push({ topic, topicId, partition, errorCode: partitionError, highWatermark, records });
        }
        reader.tags();
      }
      return { errorCode, partitions };
    },
    timeoutMs: maxWaitMs + 5_000,
  };
}

/** Consecutive targets of one topic share its name on the wire. */
function runsOf<T>(items: readonly T[], by: keyof T): [first: T, items: T[]][] {
  const runs: [T, T[]][] = [];
  for (const item of items) {
    const last = runs.at(-1);
    if (last !== undefined && last[0][by] === item[by]) last[1].push(item);
    else runs.push([item, [item]]);
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
      writer.array(runsOf(targets, 'topic'), ([{ topic }, items]) => {
        writer.string(topic).array(items, target => {
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
      writer.array(runsOf(targets, 'topic'), ([{ topic }, items]) => {
        writer.string(topic).array(items, target => writer.int32(target.partition).int64(target.timestampMs));
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
