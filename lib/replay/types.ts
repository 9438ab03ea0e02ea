import type { KafkaRecord } from '../kafka/types.ts';
import type { BufferClaim } from './buffer/writer.ts';
import type { LogEnds } from './log-ends.ts';

/** Where a subscription stands in one partition: it has everything up to and including `offset`. */
export interface PartitionPosition {
  topic: string;
  partition: number;
  /** Last offset passed; -1 before the first. The next record is the first one after it. */
  offset: number;
  /** Timestamp of the record at `offset` as far as known, else -1: tells a topic that was created again. */
  timestampMs: number;
  /** Leader epoch of the record at `offset`, where it is known: tells a log that was truncated and has grown again. */
  leaderEpoch?: number;
}

export interface StreamPosition {
  partitions: readonly PartitionPosition[];
  /** Per topic, the last `ce_keysequence` of the caller's key that was passed (OWN streams, views). */
  sequences: Readonly<Record<string, number>>;
  /** Per topic, its mark as far as known ({@link topicMark}): tells one that was created again, whatever it holds. */
  topicMarks?: Readonly<Record<string, string>>;
}

/**
 * A cursor's content. `format` takes texts; `parse` gives the fingerprints of user key, binding and cluster id in
 * their places, so they are compared by `checkCursor` and never by `===`.
 */
export interface Position extends StreamPosition {
  /** `stream`: bound to field and arguments. `view`: any stream over its topics accepts it. */
  kind: 'stream' | 'view';
  userKey: string;
  /** Subscription field and hash of its arguments; empty for a view. */
  binding: string;
  clusterId: string;
}

/** Signs and checks cursors. `parse` throws PenstockError CURSOR_INVALID for whatever does not hold. */
export interface CursorCodec {
  format(position: Position): string;
  parse(cursor: string): Position;
}

export type StreamStart =
  | { kind: 'now' }
  | { kind: 'earliest' }
  | { kind: 'time'; timestampMs: number }
  | { kind: 'position'; position: StreamPosition };

export interface StreamRequest {
  topic: string;
  /** The caller's partition (OWN) or all of them (ALL). */
  partitions: readonly number[];
  /** OWN: only records with this key. */
  key: string | undefined;
  start: StreamStart;
  /** Bytes of records waiting for a slow taker; beyond it the stream lets go of live and replays from its position. */
  bufferBytes: number;
  /** The stream is over, and `next` undefined, once it has caught up with live. */
  untilLive?: boolean;
}

export interface StreamRecord {
  record: KafkaRecord;
  /** `ce_keysequence`, where present. */
  sequence: number | undefined;
}

/**
 * A seamless sequence of records: replay, then live, none lost, none twice, in order per partition. Repeats of a
 * sequence number are dropped.
 */
export interface RecordStream {
  /** The next records; undefined once closed. Throws PenstockError CURSOR_EXPIRED when the position is gone meanwhile. */
  next(): Promise<readonly StreamRecord[] | undefined>;
  /** Moves the position past a record that `next` gave, in order, and returns the position behind it. */
  advance(record: StreamRecord): StreamPosition;
  /** Behind everything advanced past, and no further than the first record not yet advanced past. For pings. */
  watermark(): StreamPosition;
  /** Resolves when the replay has met live for the first time; never for a stream that is closed before. */
  readonly live: Promise<void>;
  close(): void;
}

export interface RecordStreams {
  /**
   * Attaches to live first, then replays. Resolves when the start position is fixed (so a watermark exists).
   * @throws PenstockError CURSOR_EXPIRED with `position: StreamPosition` of the earliest in `extensions`
   *   (the gateway turns it into a cursor), UNAVAILABLE when Kafka does not answer.
   */
  open(request: StreamRequest): Promise<RecordStream>;
  /**
   * Where a stream can go on whose cursor expired before `open` was called (of another cluster).
   * @throws PenstockError UNAVAILABLE when Kafka does not answer.
   */
  earliest(topic: string, partitions: readonly number[]): Promise<StreamPosition>;
  /** As {@link LogEnds}. */
  ends: LogEnds;
  /**
   * Keeps a partition of a topic being read although nobody is subscribed (owned partitions are warm). Resolves when it
   * is read; rejects when the streams are closed.
   */
  hold(topic: string, partition: number): Promise<void>;
  release(topic: string, partition: number): void;
  /** Keeps a partition's replay buffer in Redis, where there is one; again with each newer claim. */
  keepBuffer(topic: string, partition: number, claim: BufferClaim): void;
  leaveBuffer(topic: string, partition: number): void;
  /**
   * Shows every live record of a partition, repeats of a sequence number too (a repeated verdict is published again
   * under its first one): how the gateway waits for feedback. Keeps reading whatever happens to ownership, and by
   * itself goes on after a fault. Resolves once it listens: what is appended after that is shown, synchronously and in
   * order. The returned function ends it. Rejects only when the streams are closed.
   */
  tap(topic: string, partition: number, listener: (record: KafkaRecord) => void): Promise<() => void>;
  close(): Promise<void>;
}
