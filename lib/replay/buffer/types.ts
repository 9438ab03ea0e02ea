import type { TopicPartition } from '../../kafka/types.ts';
import type { LogRecord, Point } from '../log-record.ts';

/** Who may write a partition's buffer: the control group's generation, then a counter. Newer fences shut older ones out. */
export interface Fence {
  generation: number;
  counter: number;
}

/** A stretch of a partition's log of which the buffer has all keys' records, but for what it has aged out. */
export interface Window {
  id: string;
  /** The last offset that it covers. */
  tail: number;
  /** Leader epoch of the record at `tail`; undefined where whoever appended it did not say. */
  tailEpoch?: number | undefined;
  /** The last record that was appended to it, if any: tells whether the window is of the log that is there now. */
  mark: Point | undefined;
}

export type Stale = { answer: 'STALE'; holder: Fence };

export type ClaimAnswer = { answer: 'OK'; fence: Fence; window: Window | undefined } | Stale;
export type OpenAnswer = { answer: 'OK' } | Stale;
export type AppendAnswer = { answer: 'OK' } | { answer: 'HOLE' } | Stale;

export interface Append {
  fence: Fence;
  id: string;
  /** The tail that the window must have. */
  expectedTail: number;
  newTail: number;
  /** Leader epoch of the record at the new tail, as far as known. */
  tailEpoch?: number | undefined;
  /** Every record in (expectedTail, newTail] that has a key; the others are nobody's. In order. */
  records: readonly LogRecord[];
  /** The last record in it, whether it has a key or not. */
  mark: Point | undefined;
}

export interface BufferRead {
  key: string;
  /** Records behind this offset. */
  after: number;
}

/** What the buffer says of a key, not yet proved to be complete. */
export interface RawAnswer {
  tail: number;
  /** Leader epoch of the record at `tail`, as far as known. */
  tailEpoch?: number | undefined;
  /** Every record at or behind it was appended and is not aged out. */
  from: number;
  /** Offset of the key's last record; undefined where none is known. */
  last: number | undefined;
  /** Timestamp of the record at `after`, if the buffer has one there. */
  timestampMs: number | undefined;
  entries: readonly RawEntry[];
}

export interface RawEntry {
  offset: number;
  /** Offset of the key's record before it, or of where the window began to know. */
  previous: number;
  packed: Buffer;
}

/** A topic that was made anew has windows of its own, from the first moment on: nobody is shown the old one's records. */
export interface BufferPlace extends TopicPartition {
  /** Of the topic that is read; undefined where nobody has said it. */
  topicId?: string | undefined;
}

/** One partition's calls; each rejects within about a second when Redis does not answer, and may have been done then. */
export interface BufferStore {
  claim(at: BufferPlace, fence: Fence, force: boolean): Promise<ClaimAnswer>;
  /** A new window from this offset on; id undefined: none. */
  open(at: BufferPlace, fence: Fence, id: string | undefined, from: number): Promise<OpenAnswer>;
  append(at: BufferPlace, append: Append): Promise<AppendAnswer>;
  /** Undefined: there is no window. */
  read(at: BufferPlace, read: BufferRead): Promise<RawAnswer | undefined>;
}

/** How much the buffer keeps. */
export interface Retention {
  /** Most records of a key in a topic. */
  keyRecords: number;
  ageMs: number;
  /** Most bytes of a partition of a topic. */
  partitionBytes: number;
}

export function isNewer(fence: Fence, than: Fence): boolean {
  return fence.generation > than.generation || (fence.generation === than.generation && fence.counter > than.counter);
}
