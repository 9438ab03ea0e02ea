import { messageOf } from '../errors.ts';
import { UnreadableBatchError } from './errors.ts';
import type { Held } from './open-transactions.ts';
import { backOffMs } from './pulse.ts';
import type { EpochEnd, ReadFault, ReadFaultAt, RecordBatch, RecordSink, TopicPartition } from './types.ts';
import { codes, nameOfCode } from './wire/error-codes.ts';
import { decodeRecords } from './wire/record-batch.ts';
import type { FetchedPartition, TopicMetadata } from './wire/requests.ts';

/** A topic said to be unknown may be one that a broker has not heard of yet; after this time it is gone. */
const missingPatienceMs = 3_000;
/** How often a sink is handed a batch, with about 2 s of back-off in all, before its partition is stopped. */
const sinkTries = 8;
/** A topic said to have another id may be the one that a broker has not heard of yet; after this time it is another. */
const otherIdPatienceMs = 1_000;

/** What a broker's word on a partition comes to. */
export type Outcome =
  | { kind: 'nothing new' }
  /** `from`: where the position was before it. */
  | { kind: 'batch'; batch: RecordBatch; from: number }
  /** To be tried again, `stale` after asking who leads it. */
  | { kind: 'again'; reason: string; stale: boolean }
  /** To be passed over, or given up: an operator's word decides. `behind`: the batch, without records, that passes over it. */
  | { kind: 'unreadable'; error: UnreadableBatchError; behind(skip: { to: number }): Outcome }
  | {
      kind: 'fault';
      fault: ReadFault;
      reason: string;
      error?: UnreadableBatchError;
      cut?: Pick<ReadFaultAt, 'diverging' | 'lastEpoch'>;
    };

/** One assigned partition: its position, and how it fares. No I/O and no clock. */
export class Reading implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly sink: RecordSink;
  position: number;
  /** Leader epoch of the record before the position; undefined where it is not known. */
  lastEpoch: number | undefined;
  /** The last stable offset: the end of what is committed. */
  endOffset: number;
  /** What lies between the end and this waits for a transaction that is open. */
  highWatermark: number;
  /** The open transaction that keeps the end from moving, while there is one. */
  held: Held | undefined;
  paused = false;
  /** It has met a batch that it can't read, and asks whether to pass over it. */
  asking = false;
  /** Not to be fetched before, ms of the process's own clock. */
  notBefore = 0;
  /** Timestamp of the last record that was handed out, ms since the epoch. */
  #lastMs: number | undefined;
  #failures = 0;
  #isHeard = false;
  #sinkFailures = 0;
  /** The last epoch before the batch that was handed out last. */
  #epochBefore: number | undefined;
  #outOfRange = 0;
  #missingSince: number | undefined;
  #otherIdSince: number | undefined;
  /** Of the topic that it reads; undefined until the first fetch, where nobody has said it. */
  topicId: string | undefined;

  constructor(
    { topic, partition }: TopicPartition,
    offset: number,
    sink: RecordSink,
    topicId?: string,
    lastEpoch?: number,
  ) {
    this.topic = topic;
    this.partition = partition;
    this.sink = sink;
    this.position = offset;
    this.endOffset = offset;
    this.highWatermark = offset;
    this.topicId = topicId;
    this.lastEpoch = knownEpoch(lastEpoch);
  }

  get name(): string {
    return nameOf(this);
  }

  /** Whether the end is what a broker said last: before its first answer, and while it gives none, nobody knows how far behind this is. */
  get isEndKnown(): boolean {
    return this.#isHeard && this.#failures === 0;
  }

  /** The partition's part of a fetch from {@link position}. Moves the position past what it returns. */
  take(fetched: FetchedPartition): Outcome {
    const { errorCode, highWatermark, lastStableOffset: endOffset, topicId, aborted, records: bytes } = fetched;
    if (errorCode !== codes.NONE) return this.#refused(errorCode);
    this.#failures = 0;
    this.#isHeard = true;
    this.#outOfRange = 0;
    this.#missingSince = undefined;
    this.#otherIdSince = undefined;
    this.endOffset = endOffset;
    this.highWatermark = highWatermark;
    if (fetched.diverging !== undefined) return this.#truncated(fetched.diverging);
    if (bytes.length === 0) return { kind: 'nothing new' };
    const { topic, partition } = this;
    try {
      const { records, nextOffset, lastEpoch } = decodeRecords(this, this.position, bytes, aborted);
      // A broker sends one whole batch at least (KIP-74).
      if (nextOffset === this.position) return { kind: 'again', reason: 'an incomplete batch', stale: false };
      const from = this.position;
      this.position = nextOffset;
      this.#went(lastEpoch);
      this.#lastMs = knownTime(records.at(-1)?.timestampMs) ?? this.#lastMs;
      return { kind: 'batch', from, batch: { topic, partition, records, nextOffset, endOffset, lastEpoch, topicId } };
    } catch (error) {
      if (!(error instanceof UnreadableBatchError)) throw error;
      const behind = ({ to }: { to: number }): Outcome => {
        const from = this.position;
        this.position = Math.max(from, to);
        // Where more is skipped than this batch, nobody knows what lies before the end of it.
        const lastEpoch = to === error.to ? error.leaderEpoch : undefined;
        this.#went(lastEpoch);
        const batch = { topic, partition, records: [], nextOffset: this.position, endOffset, lastEpoch, topicId };
        return { kind: 'batch', from, batch };
      };
      return { kind: 'unreadable', error, behind };
    }
  }

  /**
   * Timestamp of the oldest record that is not worked off, as far as it is known: what the sink still has, else the record before those
   * that have not been read. That one is no younger than they are, where the log is in the order of time.
   */
  oldestMs(): number | undefined {
    const kept = knownTime(this.sink.oldestMs?.());
    if (kept !== undefined) return kept;
    return this.position < this.endOffset ? this.#lastMs : undefined;
  }

  /** Fresh metadata without a leader for it. */
  leaderless(topic: TopicMetadata | undefined, now: number): Outcome {
    const gone =
      topic?.errorCode === codes.UNKNOWN_TOPIC_OR_PARTITION ||
      (topic?.errorCode === codes.NONE && !topic.partitions.some(({ partition }) => partition === this.partition));
    if (!gone) return { kind: 'again', reason: 'no leader', stale: false };
    this.#missingSince ??= now;
    if (now - this.#missingSince < missingPatienceMs) return { kind: 'again', reason: 'unknown', stale: false };
    return { kind: 'fault', fault: 'UNKNOWN_TOPIC_OR_PARTITION', reason: 'it does not exist' };
  }

  /** Fresh metadata that gives the topic's name to another one. */
  replaced(now: number): Outcome {
    this.#otherIdSince ??= now;
    if (now - this.#otherIdSince < otherIdPatienceMs) return { kind: 'again', reason: 'another id', stale: false };
    return { kind: 'fault', fault: 'TOPIC_RECREATED', reason: 'its name belongs to another topic' };
  }

  /** The sink has taken the batch. */
  taken(): void {
    this.#sinkFailures = 0;
  }

  /** The sink threw: the position goes back to before the batch, which is read again, and given up after {@link sinkTries}. */
  notTaken(from: number, error: unknown): Outcome {
    this.position = from;
    this.lastEpoch = this.#epochBefore;
    const reason = `its sink failed: ${messageOf(error)}`;
    // Each batch that is fetched counts as a success of reading; the back-off grows all the same.
    this.#failures = this.#sinkFailures++;
    if (this.#sinkFailures >= sinkTries) return { kind: 'fault', fault: 'SINK_FAILED', reason };
    return { kind: 'again', reason, stale: false };
  }

  /** Back-off after a failure. Returns how many there were in a row. */
  postpone(now: number): number {
    this.notBefore = now + backOffMs(this.#failures++, 20, 1_000);
    return this.#failures;
  }

  /** The position has moved behind a batch of this epoch. */
  #went(lastEpoch: number | undefined): void {
    this.#epochBefore = this.lastEpoch;
    this.lastEpoch = knownEpoch(lastEpoch);
  }

  #truncated(diverging: EpochEnd): Outcome {
    const { leaderEpoch, endOffset } = diverging;
    const reason = `its leader epoch ${leaderEpoch} ends at offset ${endOffset}, but epoch ${this.lastEpoch} was read`;
    const { lastEpoch } = this;
    return {
      kind: 'fault',
      fault: 'TRUNCATED',
      reason,
      cut: { diverging, ...(lastEpoch !== undefined && { lastEpoch }) },
    };
  }

  #refused(errorCode: number): Outcome {
    const reason = nameOfCode(errorCode);
    if (errorCode === codes.UNSUPPORTED_COMPRESSION_TYPE) return { kind: 'fault', fault: 'UNREADABLE', reason };
    // Once may be a leader that has just been elected and has not caught up with its own past. A log that was truncated below
    // the position is told otherwise, even where it is shorter: a broker looks at the epoch first (Partition.fetchRecords).
    if (errorCode === codes.OFFSET_OUT_OF_RANGE && ++this.#outOfRange >= 2) {
      return { kind: 'fault', fault: 'OFFSET_OUT_OF_RANGE', reason };
    }
    return { kind: 'again', reason, stale: true };
  }
}

/** Returns a record's timestamp, or undefined for the one that stands for none. */
function knownTime(timestampMs: number | undefined): number | undefined {
  return timestampMs === undefined || timestampMs < 0 ? undefined : timestampMs;
}

/** Returns an epoch as it comes from the wire, or undefined for the one that stands for none. */
function knownEpoch(epoch: number | undefined): number | undefined {
  return epoch === undefined || epoch < 0 ? undefined : epoch;
}

export function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
