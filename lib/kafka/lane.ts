import type { TopicPartition } from './types.ts';
import { batchOverheadBytes, encodeBatch, type ProducerStamp, type SizedRecord } from './wire/record-batch.ts';

/** A record on its way, with its caller's promise. */
export interface Passenger extends SizedRecord {
  lane: Lane;
  /** When it is given up, ms of the process's own clock, which nobody sets: later ones never have an earlier one. */
  deadline: number;
  /** An attempt may have written it: giving it up can't be called "no effect". Outlives the batch of that attempt. */
  unsure?: boolean;
  /** Aborted: nobody wants it to be written any more. */
  signal?: AbortSignal | undefined;
  resolve(result: { offset: number }): void;
  reject(error: Error): void;
}

export interface Producer {
  producerId: bigint;
  producerEpoch: number;
}

/** Consecutive records of a lane that go, and go again, as one. */
export interface Batch {
  passengers: readonly Passenger[];
  sizeBytes: number;
  stamp: ProducerStamp;
  bytes: Buffer;
  /** True when an attempt with some of these records may have been written without our hearing of it. */
  unsure: boolean;
}

/**
 * One partition's queue: what is on its way, and what waits behind it. Everything about order and sequence numbers is
 * here and touches no clock and no socket; `lanes.ts` drives it.
 */
export class Lane {
  readonly at: TopicPartition;
  /** In flight, or waiting to be sent again. */
  batch: Batch | undefined;
  /** Not to be sent before, ms of the process's own clock. */
  notBefore = 0;
  failures = 0;
  #queue: Passenger[] = [];
  #producerId: bigint | undefined;
  #nextSequence = 0;
  #limitBytes: number;
  readonly #maxLimitBytes: number;

  constructor(at: TopicPartition, batchBytes: number) {
    this.at = at;
    this.#limitBytes = batchBytes;
    this.#maxLimitBytes = batchBytes;
  }

  get idle(): boolean {
    return this.batch === undefined && this.#queue.length === 0;
  }

  /** Of the oldest record here; infinite when there is none. */
  get deadline(): number {
    return (this.batch?.passengers[0] ?? this.#queue[0])?.deadline ?? Number.POSITIVE_INFINITY;
  }

  push(passenger: Passenger): void {
    this.#queue.push(passenger);
  }

  /** The batch to send now: the one that failed before, else the next of what waits. */
  load(producer: Producer): Batch | undefined {
    if (this.batch !== undefined) return this.batch;
    let count = 0;
    let sizeBytes = batchOverheadBytes;
    for (const { sizeBytes: more } of this.#queue) {
      if (count > 0 && sizeBytes + more > this.#limitBytes) break;
      sizeBytes += more;
      count++;
    }
    if (count === 0) return undefined;
    if (this.#producerId !== producer.producerId) {
      this.#producerId = producer.producerId;
      this.#nextSequence = 0;
    }
    const passengers = this.#queue.splice(0, count);
    const stamp: ProducerStamp = { ...producer, baseSequence: this.#nextSequence };
    // Of a batch that was split: its sequence numbers, which these have again, may be in the log.
    const unsure = passengers.some(passenger => passenger.unsure === true);
    this.batch = { passengers, sizeBytes, stamp, bytes: encodeBatch(passengers, stamp), unsure };
    return this.batch;
  }

  /** The batch is in the log: the next one counts on from it. */
  written(): void {
    const { batch } = this;
    if (batch === undefined) return;
    if (batch.stamp.producerId === this.#producerId) {
      this.#nextSequence = (batch.stamp.baseSequence + batch.passengers.length) % 0x8000_0000;
    }
    this.#limitBytes = Math.min(this.#maxLimitBytes, Math.ceil(this.#limitBytes * 1.1));
    this.#settled();
  }

  /** The batch goes again as smaller ones. False when it is a single record: there is nothing to split. */
  split(): boolean {
    const { batch } = this;
    if (batch === undefined || batch.passengers.length === 1) return false;
    this.#limitBytes = Math.ceil(batch.sizeBytes / 2);
    this.#unload();
    return true;
  }

  /** The batch goes again, under whichever producer is current then. */
  restamp(): void {
    this.#producerId = undefined;
    this.#unload();
  }

  /** The attempt just made may have been written. */
  doubt(): void {
    if (this.batch === undefined) return;
    this.batch.unsure = true;
    for (const passenger of this.batch.passengers) passenger.unsure = true;
  }

  /** The batch is given up. When it is `unsure`, its sequence may have been used: the lane goes on with another producer. */
  giveUp(): { passengers: readonly Passenger[]; stamp: ProducerStamp | undefined; unsure: boolean } {
    const { passengers = [], stamp, unsure = false } = this.batch ?? {};
    if (unsure) this.#producerId = undefined;
    this.#settled();
    return { passengers, stamp, unsure };
  }

  /** Takes out what waits and fits, in order. */
  remove(fits: (passenger: Passenger) => boolean): Passenger[] {
    const removed = this.#queue.filter(fits);
    if (removed.length > 0) this.#queue = this.#queue.filter(passenger => !fits(passenger));
    return removed;
  }

  #unload(): void {
    if (this.batch !== undefined) this.#queue = this.batch.passengers.concat(this.#queue);
    this.batch = undefined;
  }

  #settled(): void {
    this.batch = undefined;
    this.failures = 0;
    this.notBefore = 0;
  }
}
