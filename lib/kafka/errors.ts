import type { EpochEnd, TopicPartition } from './types.ts';

/** No broker answered in time. Trying again later helps. */
export class KafkaUnavailableError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'KafkaUnavailableError';
  }
}

/** The broker is too old. Trying again helps once somebody has upgraded it, or where another broker will do. */
export class UnsupportedBrokerError extends KafkaUnavailableError {
  constructor(address: string, reason: string) {
    super(`${address}: ${reason}`);
    this.name = 'UnsupportedBrokerError';
  }
}

/** The broker has sent nothing because the consumer's quota is exceeded. */
export class ThrottledError extends KafkaUnavailableError {
  constructor({ topic, partition }: TopicPartition, throttleTimeMs: number) {
    super(`a quota (consumer_byte_rate) holds back ${topic}/${partition} for ${throttleTimeMs} ms`);
    this.name = 'ThrottledError';
  }
}

/** The topic, or a partition of it, does not exist. */
export class UnknownTopicError extends Error {
  readonly topic: string;
  constructor(topic: string, partition?: number) {
    super(`topic ${topic}${partition === undefined ? '' : ` partition ${partition}`} does not exist`);
    this.name = 'UnknownTopicError';
    this.topic = topic;
  }
}

/** The offset is before the partition's first record or past its end. */
export class OffsetOutOfRangeError extends Error {
  readonly at: TopicPartition & { offset: number };
  constructor(at: TopicPartition & { offset: number }) {
    super(`offset ${at.offset} of ${at.topic}/${at.partition} is not in the log`);
    this.name = 'OffsetOutOfRangeError';
    this.at = at;
  }
}

/** The record before the offset is not in the log any more: an unclean leader election has cut the log, and it may have grown again. */
export class LogTruncatedError extends Error {
  /** Up to where the log may still be the one that was read. */
  readonly diverging: EpochEnd;
  constructor(at: TopicPartition & { offset: number }, diverging: EpochEnd) {
    const { leaderEpoch, endOffset } = diverging;
    super(
      `${at.topic}/${at.partition} was truncated before offset ${at.offset}: leader epoch ${leaderEpoch} ends at ${endOffset}`,
    );
    this.name = 'LogTruncatedError';
    this.diverging = diverging;
  }
}

/**
 * A batch cannot be decoded: it is corrupt, larger than we hold, or of a format or codec that this client does not speak.
 * Reading it again never helps; an operator can have it skipped (lib/kafka/skips.ts).
 */
export class UnreadableBatchError extends Error {
  readonly at: TopicPartition;
  /** First offset of what cannot be read. */
  readonly from: number;
  /** Offset behind it. */
  readonly to: number;
  /** True for messages of magic 0 or 1, all of one run. */
  readonly isOldFormat: boolean;
  /** Under which the batch was appended; undefined where it does not say. */
  readonly leaderEpoch: number | undefined;
  /** Without the topic, the partition and the offsets. */
  readonly reason: string;
  constructor(
    at: TopicPartition,
    { from, to, isOldFormat = false, leaderEpoch }: UnreadableRange,
    reason: string,
    cause?: unknown,
  ) {
    const place = `${at.topic}/${at.partition}`;
    super(
      `offsets ${from} to ${to - 1} of ${place} cannot be read: ${reason}; to go on without them: npm run skip -- ${place} ${from}`,
      cause === undefined ? undefined : { cause },
    );
    this.name = 'UnreadableBatchError';
    this.at = { topic: at.topic, partition: at.partition };
    this.from = from;
    this.to = to;
    this.isOldFormat = isOldFormat;
    this.leaderEpoch = leaderEpoch;
    this.reason = reason;
  }
}

export interface UnreadableRange {
  from: number;
  to: number;
  isOldFormat?: boolean;
  leaderEpoch?: number;
}

/** A topic exists with another partition count than the one asked for. */
export class PartitionCountError extends Error {
  constructor(topic: string, actual: number, wanted: number) {
    super(
      `topic ${topic} has ${actual} partitions, but ${wanted} are required of it and its co-partitioned topics: see docs/growing-topics.md`,
    );
    this.name = 'PartitionCountError';
  }
}

/** Kafka will not let us create a topic, or see whether there is one; `type` is its reason. Trying again does not help. */
export class TopicRefusedError extends Error {
  readonly topic: string;
  readonly type: string;
  constructor(topic: string, type: string, cause?: unknown) {
    super(`topic ${topic} cannot be created: ${type}`, cause === undefined ? undefined : { cause });
    this.name = 'TopicRefusedError';
    this.topic = topic;
    this.type = type;
  }
}

/** The record alone is larger than a batch may be; it was not written, and never will be. */
export class TooLargeError extends Error {
  readonly sizeBytes: number;
  constructor(at: TopicPartition, sizeBytes: number, limitBytes: number | undefined) {
    const limit = limitBytes === undefined ? "the topic's max.message.bytes" : `${limitBytes} bytes`;
    super(`a record of ${sizeBytes} bytes for ${at.topic}/${at.partition} exceeds ${limit}`);
    this.name = 'TooLargeError';
    this.sizeBytes = sizeBytes;
  }
}

/** A record was given up. `unknown`: an attempt may have written it, the answer never came. */
export class ProduceError extends Error {
  readonly outcome: 'not-written' | 'unknown';
  constructor(message: string, outcome: 'not-written' | 'unknown', cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ProduceError';
    this.outcome = outcome;
  }
}

/** The group does not know this member with this generation any more: whoever holds it is a zombie. */
export class FencedMemberError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'FencedMemberError';
  }
}

/** An answer of a broker that carries an error code. `code` is Kafka's number, `type` its name where we know it. */
export class BrokerError extends Error {
  readonly type: string;
  readonly code: number;
  constructor(code: number, type: string, doing: string) {
    super(`${doing}: ${type} (${code})`);
    this.name = 'BrokerError';
    this.type = type;
    this.code = code;
  }
}
