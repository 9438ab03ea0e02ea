/**
 * The seam between replay and live, for one partition of one stream: which record is queued for the taker, which
 * waits, which is dropped, and how far the stream's watermark may go. No clock, no socket, no `await`: the shell
 * (stream.ts) tells it what happened and does what it answers.
 *
 * ```
 *            attach(L), all before L passed
 *   waiting ───────────────────────────────► live ──┐ let-go (no room), detached (fault)
 *      ▲  └─ attach(L) ─► replaying ─ through L-1 ──►│
 *      └──────────────────────────────────────────────┘
 * ```
 */
import { betterKnown, type LogRecord, type Point, pointOf } from './log-record.ts';
import { repeats, type SequenceMemory } from './sequence-filter.ts';

export type SeamPhase =
  /** Not attached to live: `attach` goes on from `passed`. */
  | { phase: 'waiting' }
  /** Reading the log up to `until` (exclusive). Attached: live records from `until` on wait in the buffer. */
  | { phase: 'replaying'; until: number; attached: boolean }
  | { phase: 'live' };

/** What the shell does with a live record: it is queued, kept for later, not wanted; or live has to be let go of. */
export type LiveAnswer = 'queue' | 'buffered' | 'skip' | 'let-go';

/** The rules by themselves, so that a test can break one and see that it is noticed. */
export interface SeamRules {
  /** Duplicates drop by offset. */
  isNew(offset: number, passed: number): boolean;
  /** Replay has met live when everything before its first record is passed. */
  meets(passed: number, until: number): boolean;
  repeats(lastPassed: number | undefined, sequence: number | undefined): boolean;
  /** What waited while the replay ran comes next. */
  release(buffer: readonly LogRecord[]): readonly LogRecord[];
  /** A watermark never passes the first record that the taker has not advanced past. */
  watermark(floor: Point, lastQueued: number, reached: Point): Point;
}

export const seamRules: SeamRules = {
  isNew: (offset, passed) => offset > passed,
  meets: (passed, until) => passed + 1 >= until,
  repeats,
  release: buffer => buffer,
  watermark: (floor, lastQueued, reached) => (floor.offset < lastQueued ? floor : reached),
};

export class Seam {
  #phase: SeamPhase = { phase: 'waiting' };
  /** Every wanted record up to here is queued. Exact while replaying; while live, `reached` looks at the tail too. */
  #passed: Point;
  /** Behind what the taker has advanced past. */
  #floor: Point;
  #lastQueued = -1;
  /** The last record that the taker was given, by this stream or by one before it. */
  #given: Point;
  #buffer: LogRecord[] = [];
  #bufferBytes = 0;
  #sequences: SequenceMemory;
  readonly #rules: SeamRules;

  /** @param given where a stream before it has come to; default: the start. */
  constructor(start: Point, sequences: SequenceMemory, rules: SeamRules = seamRules, given: Point = start) {
    this.#passed = start;
    this.#floor = start;
    this.#given = given;
    this.#sequences = sequences;
    this.#rules = rules;
  }

  get state(): SeamPhase {
    return this.#phase;
  }

  /** Where a replay goes on: behind this. */
  get passed(): Point {
    return this.#passed;
  }

  /** The last record that was queued for the taker; before the first, what it was given before. */
  get given(): Point {
    return this.#given;
  }

  /** Bytes of live records that wait for the replay. */
  get bufferBytes(): number {
    return this.#bufferBytes;
  }

  /**
   * Live is attached and will give every record from `next` on.
   * @param checked false: the record at `passed` must be read again (its timestamp tells a topic made anew).
   * @returns whether a replay must run, up to `state.until`.
   */
  attach(next: number, checked = true): boolean {
    if (checked && this.#rules.meets(this.#passed.offset, next)) {
      this.#phase = { phase: 'live' };
      return false;
    }
    this.#phase = { phase: 'replaying', until: Math.max(next, this.#passed.offset + 1), attached: true };
    return true;
  }

  /**
   * A record came by live. `before`: what live had reached before it. `room`: whether the stream's budget has room for it.
   */
  live(record: LogRecord, before: Point, room: boolean): LiveAnswer {
    const { offset } = record.record;
    switch (this.#phase.phase) {
      case 'live':
        if (!this.#rules.isNew(offset, this.#passed.offset)) return 'skip';
        if (this.#isRepeat(record)) return 'skip';
        if (!room) {
          this.#reach(before);
          this.#phase = { phase: 'waiting' };
          return 'let-go';
        }
        this.#queue(record, before);
        return 'queue';
      case 'replaying':
        if (!this.#phase.attached) return 'skip';
        if (!room) {
          this.#dropBuffer();
          this.#phase = { phase: 'replaying', until: this.#phase.until, attached: false };
          return 'let-go';
        }
        this.#buffer.push(record);
        this.#bufferBytes += record.sizeBytes;
        return 'buffered';
      case 'waiting':
        return 'skip';
    }
  }

  /** A record came by replay. True: it is queued. */
  replay(record: LogRecord): boolean {
    if (!this.#rules.isNew(record.record.offset, this.#passed.offset)) return false;
    const queued = !this.#isRepeat(record);
    if (queued) this.#queue(record, this.#passed);
    else this.#passed = pointOf(record);
    return queued;
  }

  /**
   * The replay has shown everything up to and including `through`.
   * @returns the records that waited and are queued now, once the replay has met live; undefined before. With
   *   `attached: false` the phase is `waiting` then: attach again.
   */
  replayedThrough(through: Point): readonly LogRecord[] | undefined {
    this.#reach(through);
    if (this.#phase.phase !== 'replaying' || !this.#rules.meets(this.#passed.offset, this.#phase.until))
      return undefined;
    if (!this.#phase.attached) {
      this.#phase = { phase: 'waiting' };
      return [];
    }
    this.#phase = { phase: 'live' };
    const waited = this.#rules.release(this.#buffer);
    this.#dropBuffer();
    return waited.filter(record => this.replay(record));
  }

  /** Live has stopped (a fault). `reached`: the last that it showed. The stream goes on behind it. */
  detached(reached: Point): void {
    if (this.#phase.phase === 'live') this.#reach(reached);
    this.#dropBuffer();
    this.#phase = { phase: 'waiting' };
  }

  /**
   * What was passed behind this point is not in the log any more: the stream goes on here. Nothing is attached.
   * @param sequences in place of those that were seen only in what is gone.
   */
  rollBack(to: Point, sequences: SequenceMemory = this.#sequences): void {
    this.#passed = to;
    this.#sequences = sequences;
    if (this.#floor.offset > to.offset) this.#floor = to;
    if (this.#given.offset > to.offset) this.#given = to;
    this.#lastQueued = Math.min(this.#lastQueued, to.offset);
  }

  /** The taker is past this record. */
  advance(at: Point): void {
    this.#floor = at;
  }

  /** @param live what live has reached; counts only while the stream is live. */
  watermark(live: Point): Point {
    const reached = this.#phase.phase === 'live' ? further(this.#passed, live) : this.#passed;
    return this.#rules.watermark(this.#floor, this.#lastQueued, reached);
  }

  #isRepeat({ key, sequence }: LogRecord): boolean {
    return key !== undefined && sequence !== undefined && this.#rules.repeats(this.#sequences.last(key), sequence);
  }

  #queue(record: LogRecord, before: Point): void {
    const { offset } = record.record;
    // Nothing pending: the taker is as far as everything that came by without being wanted.
    if (this.#floor.offset >= this.#lastQueued && before.offset > this.#floor.offset) this.#floor = before;
    this.#lastQueued = offset;
    this.#passed = pointOf(record);
    this.#given = this.#passed;
    if (record.key !== undefined && record.sequence !== undefined) this.#sequences.pass(record.key, record.sequence);
  }

  #reach(point: Point): void {
    this.#passed = further(this.#passed, point);
  }

  #dropBuffer(): void {
    this.#buffer = [];
    this.#bufferBytes = 0;
  }
}

/** Returns the later point; at the same offset, the one of which more is known. */
function further(one: Point, other: Point): Point {
  if (one.offset === other.offset) return betterKnown(one, other);
  return other.offset > one.offset ? other : one;
}
