/**
 * The requests whose errors we want per partition. kafkajs has them too, but its `parse` throws a broker's whole answer
 * away for one bad partition. Their versions are in apis.ts.
 */
import { type Api, apis } from './apis.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';

/** A request as {@link Link.send} takes it. */
export interface WireRequest<T> extends Api {
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
  /** `leader` is -1 while there is none; `leaderEpoch` counts the elections of a partition (KIP-101). */
  partitions: { partition: number; errorCode: number; leader: number; leaderEpoch: number }[];
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
    ...apis.metadata,
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
          const leaderEpoch = reader.int32();
          for (let list = 0; list < 3; list++) reader.compactArray(() => reader.int32()); // replicas, in sync, offline
          reader.tags();
          return { partition, errorCode: partitionError, leader, leaderEpoch };
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
  /**
   * Leader epoch of the record before `offset`, where it is known: the broker then says where its own log diverges from the
   * one that was read so far (KIP-320, KIP-595). {@link noLeaderEpoch} asks for no such check.
   */
  lastEpoch?: number;
  maxBytes: number;
}

/** The place-holder for a leader epoch that is not known. */
export const noLeaderEpoch = -1;

/** A transaction that a producer has aborted: its records are those from `firstOffset` to the producer's next abort marker. */
export interface AbortedTransaction {
  producerId: bigint;
  firstOffset: number;
}

/** The largest leader epoch that the log and the reader have in common, and the offset behind its last record. */
export interface EpochEnd {
  leaderEpoch: number;
  endOffset: number;
}

export interface FetchedPartition {
  topic: string;
  topicId: string;
  partition: number;
  errorCode: number;
  highWatermark: number;
  /** Offset of the first record whose transaction is still open, or the high watermark: the end of what is committed. */
  lastStableOffset: number;
  /** Transactions among `records` that were aborted, by their first offset. */
  aborted: readonly AbortedTransaction[];
  /** Set where the log was truncated below the position that was asked for; there are no records then. */
  diverging: EpochEnd | undefined;
  records: Buffer;
}

export interface FetchAnswer {
  errorCode: number;
  /** Where this is above 0 the consumer's quota is exceeded, and the broker names no partition. */
  throttleTimeMs: number;
  partitions: FetchedPartition[];
}

export interface FetchOptions {
  maxWaitMs: number;
  minBytes: number;
  maxBytes: number;
}

/** Isolation level of a request (KIP-98): read committed. What a transaction has not committed is not a fact yet. */
const readCommitted = 1;

/**
 * Reads up to the last stable offset, outside of any fetch session. Records of aborted transactions are in the answer and
 * named by `aborted`: `decodeRecords` leaves them out. The broker serves targets in the order given. Topics go by their id:
 * what is read can't be another topic that has got the name meanwhile.
 */
export function fetchRequest(
  targets: readonly FetchTarget[],
  { maxWaitMs, minBytes, maxBytes }: FetchOptions,
): WireRequest<FetchAnswer> {
  return {
    ...apis.fetch,
    encode(writer) {
      writer.noTags(); // of the header
      writer.int32(-1).int32(maxWaitMs).int32(minBytes).int32(maxBytes).int8(readCommitted).int32(0).int32(-1);
      writer.compactArray(runsOf(targets, 'topicId'), ([first, items]) => {
        writer.uuid(first.topicId).compactArray(items, target => {
          writer.int32(target.partition).int32(noLeaderEpoch).int64(target.offset);
          writer
            .int32(target.lastEpoch ?? noLeaderEpoch)
            .int64(-1)
            .int32(target.maxBytes)
            .noTags();
        });
        writer.noTags();
      });
      writer.compactArray([], () => undefined); // forgotten topics
      writer.compactString('').noTags(); // rack
    },
    decode(reader) {
      reader.tags(); // of the header
      const throttleTimeMs = reader.int32();
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
          const lastStableOffset = reader.int64();
          reader.position += 8; // log start offset
          const aborted = reader.compactArray(() => {
            const transaction = { producerId: reader.bigInt64(), firstOffset: reader.int64() };
            reader.tags();
            return transaction;
          });
          reader.position += 4; // preferred read replica
          const size = reader.uvarint() - 1;
          const records = reader.take(Math.max(0, size));
          let diverging: EpochEnd | undefined;
          reader.tags((tag, value) => {
            if (tag === divergingEpochTag) diverging = { leaderEpoch: value.int32(), endOffset: value.int64() };
          });
          partitions.push({
            topic,
            topicId,
            partition,
            errorCode: partitionError,
            highWatermark,
            lastStableOffset,
            aborted,
            diverging,
            records,
          });
        }
        reader.tags();
      }
      return { errorCode, throttleTimeMs, partitions };
    },
    timeoutMs: maxWaitMs + 5_000,
  };
}

/** Number of the tagged field of a fetched partition that says where its log diverges. */
const divergingEpochTag = 0;

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
    ...apis.produce,
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
    ...apis.initProducerId,
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
  /** Of the record there; -1 where it is not known. */
  leaderEpoch: number;
}

/** Which end of a log is meant: that of the committed records, or the high watermark with open transactions below it. */
export type OffsetIsolation = 'committed' | 'uncommitted';

export function listOffsetsRequest(
  targets: readonly { topic: string; partition: number; timestampMs: number }[],
  isolation: OffsetIsolation = 'committed',
): WireRequest<ListedOffset[]> {
  return {
    ...apis.listOffsets,
    encode(writer) {
      writer.int32(-1).int8(isolation === 'committed' ? readCommitted : 0);
      writer.array(runsOf(targets, 'topic'), ([{ topic }, items]) => {
        writer.string(topic).array(items, target => {
          writer.int32(target.partition).int32(noLeaderEpoch).int64(target.timestampMs);
        });
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
          const leaderEpoch = reader.int32();
          answers.push({ topic, partition, errorCode, timestampMs, offset, leaderEpoch });
        });
      });
      return answers;
    },
  };
}

export interface ListedEpochEnd extends EpochEnd {
  topic: string;
  partition: number;
  errorCode: number;
}

/**
 * Asks where leader epochs end: for each target the largest epoch up to the given one that the log has, and the offset behind
 * its last record (KIP-101, KIP-320). Both are -1 where the log has none. Only the partition's leader answers.
 */
export function offsetForLeaderEpochRequest(
  targets: readonly { topic: string; partition: number; leaderEpoch: number }[],
): WireRequest<ListedEpochEnd[]> {
  return {
    ...apis.offsetForLeaderEpoch,
    encode(writer) {
      writer.int32(-1); // replica: a consumer
      writer.array(runsOf(targets, 'topic'), ([{ topic }, items]) => {
        writer.string(topic).array(items, ({ partition, leaderEpoch }) => {
          writer.int32(partition).int32(noLeaderEpoch).int32(leaderEpoch);
        });
      });
    },
    decode(reader) {
      reader.int32(); // throttle time
      const answers: ListedEpochEnd[] = [];
      reader.array(() => {
        const topic = reader.string() ?? '';
        reader.array(() => {
          const errorCode = reader.int16();
          const partition = reader.int32();
          const leaderEpoch = reader.int32();
          const endOffset = reader.int64();
          answers.push({ topic, partition, errorCode, leaderEpoch, endOffset });
        });
      });
      return answers;
    },
  };
}
