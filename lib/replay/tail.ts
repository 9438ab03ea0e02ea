/**
 * Live tails: one reader position for each (topic, partition) that anybody here wants, however many streams share it.
 * A record that nobody wants costs one look-up of its key.
 */
import type { DirectReader, ReadFault, ReadFaultAt, RecordBatch, RecordSink, TopicPartition } from '../kafka/types.ts';
import type { Logger } from '../ops/index.ts';
import type { FreshOffsets } from './fresh-offsets.ts';
import type { Histories } from './history.ts';
import { betterKnown, type LogRecord, logRecord, type Point, pointAt, pointOf } from './log-record.ts';
import type { Ring, Rings } from './ring.ts';
import { openSequenceMemory, repeats, type SequenceMemory } from './sequence-filter.ts';
import { openBackOff } from './waiting.ts';

export interface TailListener {
  /** Called synchronously, in order. `before`: what the tail had passed before this record. */
  live(record: LogRecord, before: Point): void;
  /** The tail has stopped and begins anew at the log's end; it has forgotten this listener. `where`: the reader's word on it. */
  stopped(fault: ReadFault, reached: Point, where: ReadFaultAt): void;
}

/** Whoever keeps up with a tail, rather than take its records one by one. */
export interface TailFollower {
  /** It has shown more. */
  grown(): void;
  /** It has stopped: what it will begin anew with may be another log. */
  lost(): void;
}

export interface Tail {
  /** Resolves when the tail reads; rejects when the streams are closed. Call again after `stopped`. */
  ready(): Promise<void>;
  /**
   * From now on the listener is given every record (with this key) from the returned offset on. Only while reading:
   * undefined otherwise.
   */
  attach(key: string | undefined, listener: TailListener): number | undefined;
  detach(key: string | undefined, listener: TailListener): void;
  /** @returns ends it. */
  follow(follower: TailFollower): () => void;
  /** Everything up to here has been shown. */
  reached(): Point;
  /** Of the topic that it reads, or has read last; undefined before the first. */
  topicId(): string | undefined;
  /** Whether it reads: between a fault and the new beginning it does not, and what it knows is old. */
  isReading(): boolean;
  /** The key's last sequence, if this tail has seen it. */
  lastSequence(key: string): number | undefined;
  /** The newest records, where the partition is held. */
  ring: Ring;
  /** Whoever acquired it gives it back, once. */
  release(): void;
}

export interface Tails {
  /** `held`: keeps a ring as well. */
  acquire(at: TopicPartition, held: boolean): Tail;
  close(): void;
}

const rememberedKeys = 20_000;

export function openTails(parts: Omit<TailParts, 'gone'>): Tails {
  const tails = new Map<string, SharedTail>();
  return {
    acquire(at, held) {
      const name = `${at.topic}/${at.partition}`;
      let tail = tails.get(name);
      if (tail === undefined) {
        tail = new SharedTail(at, { ...parts, gone: () => tails.delete(name) });
        tails.set(name, tail);
      }
      return tail.acquire(held);
    },
    close() {
      for (const tail of [...tails.values()]) tail.stop();
      tails.clear();
    },
  };
}

interface TailParts {
  reader: DirectReader;
  offsets: FreshOffsets;
  rings: Rings;
  /** Told when a tail stops: what was known of its log may not hold any more. */
  histories: Pick<Histories, 'forget'>;
  log: Logger;
  gone(): void;
}

class SharedTail implements RecordSink {
  readonly #at: TopicPartition;
  readonly #parts: TailParts;
  readonly #byKey = new Map<string, Set<TailListener>>();
  readonly #all = new Set<TailListener>();
  readonly #followers = new Set<TailFollower>();
  readonly ring: Ring;
  #sequences: SequenceMemory = openSequenceMemory(rememberedKeys);
  #users = 0;
  #holders = 0;
  #reading = false;
  #reached: Point = { offset: -1, timestampMs: -1 };
  #topicId: string | undefined;
  /** Where it began to show records. */
  #begins = 0;
  #starting: Promise<void> | undefined;
  #stop = new AbortController();

  constructor(at: TopicPartition, parts: TailParts) {
    this.#at = at;
    this.#parts = parts;
    this.ring = parts.rings.open();
  }

  acquire(held: boolean): Tail {
    this.#users += 1;
    if (held) this.#holders += 1;
    void this.#ready().catch(() => undefined);
    let released = false;
    return {
      ring: this.ring,
      ready: () => this.#ready(),
      attach: (key, listener) => this.#attach(key, listener),
      detach: (key, listener) => this.#detach(key, listener),
      follow: follower => {
        this.#followers.add(follower);
        return () => this.#followers.delete(follower);
      },
      reached: () => this.#reached,
      topicId: () => this.#topicId,
      isReading: () => this.#reading,
      lastSequence: key => this.#sequences.last(key),
      release: () => {
        if (released) return;
        released = true;
        this.#users -= 1;
        if (held && (this.#holders -= 1) === 0) this.ring.drop();
        if (this.#users === 0) {
          this.#parts.gone();
          this.stop();
        }
      },
    };
  }

  stop(): void {
    this.#stop.abort();
    if (this.#reading) this.#parts.reader.unassign(this.#at);
    this.#reading = false;
    this.#parts.histories.forget(this.#at);
    this.ring.drop();
  }

  onBatch(batch: RecordBatch): void {
    const first = this.#reached.offset + 1;
    const records: LogRecord[] = [];
    for (const item of batch.records) {
      if (item.offset <= this.#reached.offset) {
        // The one at which it began, see #start.
        if (item.offset === this.#reached.offset) this.#know(pointAt(item.offset, item.timestampMs, item.leaderEpoch));
        continue;
      }
      const record = logRecord(item);
      records.push(record);
      try {
        this.#show(record);
      } finally {
        // A batch that was not taken to its end comes again; this record has been shown.
        this.#reached = pointOf(record);
      }
    }
    const last = pointAt(batch.nextOffset - 1, -1, batch.lastEpoch);
    if (last.offset > this.#reached.offset) this.#reached = last;
    else this.#know(last);
    if (this.#reached.offset < first) return;
    if (this.#holders > 0) this.ring.append(first, records, this.#reached.offset + 1);
    for (const follower of this.#followers) follower.grown();
  }

  onFault(fault: ReadFault, where: ReadFaultAt): void {
    if (where.offset < this.#begins) {
      // Only the record before its beginning could not be had: nothing that anybody waits for.
      this.#parts.reader.assign(this.#at, this.#reached.offset + 1, this, this.#topicId);
      return;
    }
    this.#reading = false;
    this.#starting = undefined;
    this.#parts.histories.forget(this.#at);
    this.ring.drop();
    this.#sequences = openSequenceMemory(rememberedKeys);
    this.#parts.log.warn(
      { event: 'live_tail_restarted', ...this.#at, fault, offset: this.#reached.offset + 1 },
      'a live tail has to begin anew',
    );
    const listeners = [...this.#all, ...[...this.#byKey.values()].flatMap(set => [...set])];
    this.#all.clear();
    this.#byKey.clear();
    for (const follower of this.#followers) follower.lost();
    for (const listener of listeners) listener.stopped(fault, this.#reached, where);
    if (!this.#stop.signal.aborted) void this.#ready().catch(() => undefined);
  }

  /** Takes over what a batch says of the point that is reached. */
  #know(point: Point): void {
    if (point.offset === this.#reached.offset) this.#reached = betterKnown(this.#reached, point);
  }

  #show(record: LogRecord): void {
    const { key, sequence } = record;
    for (const listener of this.#all) this.#tell(listener, record);
    if (key === undefined) return;
    const listeners = this.#byKey.get(key);
    if (listeners !== undefined) for (const listener of listeners) this.#tell(listener, record);
    if (sequence !== undefined && !repeats(this.#sequences.last(key), sequence)) this.#sequences.pass(key, sequence);
  }

  /** One that throws costs nobody else a record, nor the ring. */
  #tell(listener: TailListener, record: LogRecord): void {
    try {
      listener.live(record, this.#reached);
    } catch (error) {
      this.#parts.log.error(
        { event: 'live_tail_listener_failed', ...this.#at, offset: record.record.offset, error },
        'a listener of a live tail failed',
      );
    }
  }

  #attach(key: string | undefined, listener: TailListener): number | undefined {
    if (!this.#reading) return undefined;
    if (key === undefined) this.#all.add(listener);
    else {
      const listeners = this.#byKey.get(key);
      if (listeners === undefined) this.#byKey.set(key, new Set([listener]));
      else listeners.add(listener);
    }
    return this.#reached.offset + 1;
  }

  #detach(key: string | undefined, listener: TailListener): void {
    if (key === undefined) {
      this.#all.delete(listener);
      return;
    }
    const listeners = this.#byKey.get(key);
    if (listeners?.delete(listener) === true && listeners.size === 0) this.#byKey.delete(key);
  }

  #ready(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /**
   * Begins at the log's end, as the brokers tell it now; tries until they do. The record before the end is read along: it
   * tells under which epoch the log goes on, so that a log that loses it is noticed (ListOffsets only knows the leader's).
   */
  async #start(): Promise<void> {
    const { topic, partition } = this.#at;
    const backOff = openBackOff(this.#stop.signal);
    let told = false;
    while (!this.#stop.signal.aborted) {
      try {
        const bounds = (await this.#parts.offsets.bounds(topic, [partition])).get(partition);
        if (this.#stop.signal.aborted) break;
        if (bounds !== undefined) {
          this.#reached = { offset: bounds.end - 1, timestampMs: -1 };
          this.#topicId = bounds.topicId;
          this.#begins = bounds.end;
          const first = Math.max(bounds.start, bounds.end - 1);
          this.#parts.reader.assign(this.#at, first, this, bounds.topicId);
          this.#reading = true;
          for (const follower of this.#followers) follower.grown();
          return;
        }
      } catch (error) {
        if (!told)
          this.#parts.log.warn({ event: 'live_tail_waits', ...this.#at, error }, 'a live tail cannot begin yet');
        told = true;
      }
      await backOff.wait();
    }
    throw new Error(`the tail of ${topic}/${partition} is closed`);
  }
}
