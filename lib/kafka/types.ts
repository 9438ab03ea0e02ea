import type { UnreadableBatchError } from './errors.ts';
import type { EpochEnd } from './wire/requests.ts';

/**
 * What the rest of the project knows of Kafka. kafkajs stays behind this room.
 * Offsets are numbers: a partition would need 285 years at a million records a second to leave the safe integers.
 */
export interface TopicPartition {
  topic: string;
  partition: number;
}

export type { EpochEnd };

export type Headers = Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>;

export interface KafkaRecord extends TopicPartition {
  offset: number;
  /** Append time where the topic uses LogAppendTime, else the producer's: 0 to 2^53 - 2, or -1 where it is none of these. */
  timestampMs: number;
  /** Whose clock the timestamp is of; absent where nobody read it from a log. */
  timestampType?: 'CreateTime' | 'LogAppendTime';
  /** The leader epoch under which it was appended (KIP-101): tells two histories of one log apart. -1 or absent: not known. */
  leaderEpoch?: number;
  key: Buffer | null;
  value: Buffer | null;
  headers: Headers;
}

/**
 * Consecutive committed records of one partition, and where the next fetch goes on (control records and gaps skipped). There may be
 * none, when all that was there was skipped.
 */
export interface RecordBatch extends TopicPartition {
  records: readonly KafkaRecord[];
  nextOffset: number;
  /** Offset behind the last committed record that the log has now (Kafka's last stable offset). */
  endOffset: number;
  /** Leader epoch of the record at `nextOffset - 1`, control records and gaps included; undefined where it is not known. */
  lastEpoch?: number | undefined;
  /** Of the topic that they were read from. */
  topicId: string;
}

/**
 * Why a partition is not read any more. The reader goes on with all others. `SINK_FAILED`: its sink threw each time that it
 * was handed the batch that begins at the fault's offset.
 */
export type ReadFault =
  | 'OFFSET_OUT_OF_RANGE'
  | 'UNKNOWN_TOPIC_OR_PARTITION'
  | 'TOPIC_RECREATED'
  | 'UNREADABLE'
  | 'SINK_FAILED'
  /** The log has lost its end below the position (an unclean leader election), and may have grown again with other records. */
  | 'TRUNCATED';

/** Where a partition is not read on. */
export interface ReadFaultAt extends TopicPartition {
  offset: number;
  /** With `TRUNCATED`: up to where the log may still be the one that was read, see {@link Topics.epochEnd}. */
  diverging?: EpochEnd;
  /** With `TRUNCATED`: leader epoch of the record before the offset, as it was read. */
  lastEpoch?: number;
}

export interface RecordSink {
  /**
   * Called in order, synchronously, as soon as fetched; the position is past the batch when it returns. Where it throws, it is
   * called again with the same records after a back-off, so it must skip those that it took before it threw.
   */
  onBatch(batch: RecordBatch): void;
  /** @param error for `UNREADABLE`: what cannot be read, and why. */
  onFault(fault: ReadFault, at: ReadFaultAt, error?: UnreadableBatchError): void;
  /** For a sink that keeps records: the timestamp of the oldest one that it has not worked off, ms since the epoch; -1: not known. */
  oldestMs?(): number | undefined;
}

/** Reads just the partitions it is told to, from the offsets it is told; no consumer group. */
export interface DirectReader {
  /**
   * From the next fetch on. Assigning a partition again moves it. `offset` is the next one to read, of the topic with this
   * id: not of another that has got its name since. Without an id, of whichever topic has the name at the first fetch.
   * `lastEpoch` is the leader epoch of the record before `offset`: a log that has lost that record ends in `TRUNCATED`.
   * Without one, the first batch that is read tells it.
   */
  assign(at: TopicPartition, offset: number, sink: RecordSink, topicId?: string, lastEpoch?: number): void;
  unassign(at: TopicPartition): void;
  /**
   * Not read until {@link resume}: for a sink that is full. It keeps its position, and stays in the lag metric, with the
   * end that the log had then. May be called from within the sink.
   */
  pause(at: TopicPartition): void;
  resume(at: TopicPartition): void;
  /** The next offset that will be handed to the sink, or undefined when not assigned. */
  position(at: TopicPartition): number | undefined;
  close(): Promise<void>;
}

export interface OutgoingRecord {
  key: string | Buffer | null;
  value: string | Buffer | null;
  headers?: Readonly<Record<string, string | Buffer>>;
}

/** One lane a partition: one request in flight, the next batch fills meanwhile. acks=all. */
export interface Lanes {
  /**
   * Resolves with the offset once the broker's answer names this partition. Waits (backpressure) while more than
   * the budget is buffered. Retries what may be retried, in order; rejects with `TooLargeError` or `ProduceError`.
   * What waits behind a record that is given up and has its key rejects too: a key never skips a record. One whose
   * `signal` is aborted is given up as well, unless it is on its way just then: it is not sent again if that fails.
   */
  send(at: TopicPartition, record: OutgoingRecord, signal?: AbortSignal): Promise<{ offset: number }>;
  /** Sends what is buffered, then closes. */
  close(): Promise<void>;
}

export interface TopicSpec {
  name: string;
  partitions: number;
  replicationFactor: number;
  config?: Readonly<Record<string, string>>;
}

/** Which topic has a name now: one that is deleted and created again gets another id (KIP-516). */
export interface TopicIdentity {
  /** 22 characters, base64url. */
  topicId: string;
  partitions: number;
}

/** Metadata and positions; every number is fresh from the broker. */
export interface Topics {
  /** Undefined when the topic does not exist. */
  identity(topic: string): Promise<TopicIdentity | undefined>;
  clusterId(): Promise<string>;
  /** Undefined when the topic does not exist. */
  partitionCount(topic: string): Promise<number | undefined>;
  /**
   * Creates what is missing; throws where an existing topic has another partition count than `partitions`. Goes by a
   * broker's metadata: for a moment after its deletion a topic may still count as existing, and is not created then.
   */
  ensure(specs: readonly TopicSpec[]): Promise<void>;
  /** Gives a topic more partitions. Resolves when all of them have leaders. */
  grow(topic: string, partitions: number): Promise<void>;
  /** First offset still in the log. */
  startOffset(at: TopicPartition): Promise<number>;
  /** Offset behind the last committed record (the last stable offset): records of open transactions lie behind it. */
  endOffset(at: TopicPartition): Promise<number>;
  /** For many partitions at once, by `topic/partition`. */
  offsets(topic: string, partitions: readonly number[]): Promise<Map<number, { start: number; end: number }>>;
  /** By partition, the offsets behind everything that is replicated, records of open transactions included. */
  highWatermarks(topic: string, partitions: readonly number[]): Promise<Map<number, number>>;
  /**
   * The largest leader epoch up to this one that the log has, and the offset behind its last record (KIP-320). A record that
   * was read under this epoch is in the log if that is the epoch found and the offset behind it is larger than the record's.
   * An epoch that the cluster has never reached (it has lost its own past) has nothing in common with the log: -1, and 0.
   * Undefined where the leader cannot tell.
   */
  epochEnd(at: TopicPartition, leaderEpoch: number): Promise<EpochEnd | undefined>;
  /** First offset whose timestamp is ≥ `timestampMs`; the end offset when there is none. */
  offsetAt(at: TopicPartition, timestampMs: number): Promise<number>;
  /**
   * Returns at least one record from `offset` on when there is one: what the log has instead of records is passed over. Where that
   * takes more than `hops` fetches (default: any number), or what comes then cannot be fetched, the batch is empty and its
   * `nextOffset` is behind `offset`. `lastEpoch` is the leader epoch of the record before it, where that is known. Rejects with `OffsetOutOfRangeError`, with `LogTruncatedError` where that record is gone, and with
   * `UnreadableBatchError` where the first batch there cannot be decoded and nobody has had it skipped.
   */
  fetch(at: TopicPartition, offset: number, maxBytes: number, lastEpoch?: number, hops?: number): Promise<RecordBatch>;
}

export interface Assignment {
  generation: number;
  memberId: string;
  partitions: readonly number[];
  /** address of each member → its partitions, from the group's leader. */
  routing: Readonly<Record<string, readonly number[]>>;
  /** Peer ports of all members that have one, our own too. */
  peers: readonly string[];
}

/** Why a member is not in its group any more: the group said so, or it could not be reached for a session's length. */
export type LossCause = 'fenced' | 'silence';

export interface CommittedOffset extends TopicPartition {
  offset: number;
  /** Of the topic that the offset is in; undefined where whoever committed it did not say. */
  topicId: string | undefined;
}

/** Membership and assignment only; never fetches. */
export interface ControlGroup {
  /** Rejects when a heartbeat with the current generation fails: then this member is a zombie. */
  heartbeat(): Promise<void>;
  /** Generation-fenced commit, for lag displays and as a witness; never trusted as a position. The topic's id goes with it. */
  commit(offsets: readonly (TopicPartition & { offset: number; topicId?: string })[]): Promise<void>;
  /**
   * What was committed last for these, as the coordinator knows it now. One that has nothing, or whose offsets have expired, is
   * left out. Rejects with `KafkaUnavailableError`.
   */
  committed(places: readonly TopicPartition[]): Promise<CommittedOffset[]>;
  /** A rebalance has probably begun: heartbeat now, so as not to learn of it an interval later. */
  hurry(): void;
  /**
   * Sends LeaveGroup for a member that is known to be dead. Resolves also when the group did not know it (any more).
   * Rejects with `KafkaUnavailableError`.
   */
  evict(memberId: string): Promise<void>;
  /** Leaves the group at once (LeaveGroup). */
  close(): Promise<void>;
}

export interface ControlGroupOptions {
  groupId: string;
  /** Co-partitioned topics; the partition count is the largest among them. */
  topics: readonly string[];
  /** Travels in userData to the leader, comes back in `routing`. */
  address: string;
  /** host:port where other members notice this one's death; comes back in `peers`. */
  peer?: string;
  sessionTimeoutMs: number;
  heartbeatIntervalMs: number;
  /** Synchronous: called inside the join, before anything else happens in this member. */
  onAssigned(assignment: Assignment): void;
  /** The session is over or the consumer crashed; what was owned is not owned any more. A rejoin follows by itself. */
  onLost(reason: string, cause: LossCause): void;
  /**
   * The group was silent for a session's length and other brokers answer: its coordinator is gone, or the way to it. The
   * next one may yet confirm us; until then others may have been given what we own. Called again while that lasts. Where
   * this is left out, such a silence is a loss.
   */
  onDoubt?(reason: string): void;
  /** The group knows this member, by an answer to a request that was sent then, ms of the process's own clock. */
  onContact?(sentMs: number): void;
  /** The doubt was for nothing: the group answers, and this is still its assignment. */
  onConfirmed?(assignment: Assignment): void;
}
