/** Keeps one owned partition's buffer in step with its live tail: carries out what upkeep.ts decides. */
import { randomUUID } from 'node:crypto';
import { messageOf } from '../../errors.ts';
import { OffsetOutOfRangeError, type TopicPartition, type Topics } from '../../kafka/index.ts';
import type { Logger } from '../../ops/index.ts';
import type { Histories } from '../history.ts';
import type { LogRecord, Point } from '../log-record.ts';
import { pointAt, pointOf } from '../log-record.ts';
import type { Scans } from '../scan.ts';
import type { Tail } from '../tail.ts';
import { isSameTopic } from '../topic-mark.ts';
import { openBackOff, type Places, within } from '../waiting.ts';
import type { BufferMetrics } from './metrics.ts';
import type { BufferStore, Fence, Window } from './types.ts';
import {
  beginUpkeep,
  type LogView,
  logLost,
  nextTask,
  type Outcome,
  renew,
  settle,
  type Task,
  type Upkeep,
} from './upkeep.ts';

/** By what right a gateway writes a partition's buffer. */
export interface BufferClaim extends Fence {
  /** Whether the group still counts this gateway as the partition's owner. */
  verify(): Promise<'member' | 'zombie' | 'unknown'>;
}

/** What all writers of a gateway share. */
export interface WriterParts {
  store: BufferStore;
  topics: Pick<Topics, 'fetch'>;
  scans: Scans;
  histories: Pick<Histories, 'holds'>;
  places: Places;
  /** Most offsets, and most bytes, that are read again from the log to fill a gap. */
  maxFill: number;
  maxFillBytes: number;
  metrics: BufferMetrics;
  log: Logger;
  /** Calls `run` within the append interval. */
  soon(writer: BufferWriter): void;
  /** Redis did (not) do what this writer asked for. */
  health(writer: BufferWriter, problem: string | undefined): void;
}

const batchRecords = 500;
const batchBytes = 262_144;
/** Longest wait for one call, redirections included, ms. */
const deadlineMs = 2_000;
const checkBytes = 1_024;

export class BufferWriter {
  readonly #at: TopicPartition;
  readonly #tail: Tail;
  readonly #parts: WriterParts;
  #claim: BufferClaim;
  #upkeep: Upkeep;
  #running = false;
  readonly #closing = new AbortController();
  readonly #stopFollowing: () => void;

  /** Takes the tail over: it is released when the writer is closed. */
  constructor(at: TopicPartition, tail: Tail, claim: BufferClaim, parts: WriterParts) {
    this.#at = at;
    this.#tail = tail;
    this.#claim = claim;
    this.#parts = parts;
    this.#upkeep = beginUpkeep(fenceOf(claim));
    this.#stopFollowing = tail.follow({
      grown: () => parts.soon(this),
      lost: () => {
        this.#upkeep = logLost(this.#upkeep);
        parts.soon(this);
      },
    });
    this.run();
  }

  /** A newer claim of the partition by this gateway. */
  renew(claim: BufferClaim): void {
    const { fence } = this.#upkeep;
    const same = claim.generation === this.#claim.generation && claim.counter === this.#claim.counter;
    this.#claim = claim;
    if (same && this.#upkeep.state.phase !== 'fenced') return;
    // Raised above a newer one because the group confirmed us: it stays above.
    const raised =
      fence.generation > claim.generation ? { generation: fence.generation, counter: fence.counter + 1 } : claim;
    this.#upkeep = renew(this.#upkeep, fenceOf(raised));
    this.run();
  }

  /** Offsets that the buffer is behind the live tail; all that the ring has, where it is not known how far it reaches. */
  get lag(): number {
    const { state } = this.#upkeep;
    if (state.phase === 'fenced') return 0;
    const { next, ringFrom } = this.#view();
    return Math.max(0, next - (state.phase === 'open' ? state.tail + 1 : ringFrom));
  }

  run(): void {
    if (this.#running || this.#closing.signal.aborted) return;
    this.#running = true;
    void this.#work().finally(() => {
      this.#running = false;
      if (!this.#closing.signal.aborted && this.#next() !== undefined) this.#parts.soon(this);
    });
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#stopFollowing();
    this.#tail.release();
    this.#parts.health(this, undefined);
  }

  #next(): Task | undefined {
    // Whose windows they are is known when the tail begins, which it says.
    if (this.#tail.topicId() === undefined) return undefined;
    return nextTask(this.#upkeep, this.#view(), this.#parts.maxFill);
  }

  #view(): LogView {
    const next = this.#tail.reached().offset + 1;
    const { first } = this.#tail.ring;
    return { reading: this.#tail.isReading(), next, ringFrom: first < 0 ? next : first };
  }

  /** Never rejects. Works until there is nothing to do, or only a little that can wait for the next interval. */
  async #work(): Promise<void> {
    const backOff = openBackOff(this.#closing.signal);
    while (!this.#closing.signal.aborted) {
      const task = this.#next();
      if (task === undefined) return;
      const { outcome, more } = await this.#carryOut(task);
      if (this.#closing.signal.aborted) return;
      this.#upkeep = settle(this.#upkeep, task, outcome);
      if (isSetback(outcome)) await backOff.wait();
      else backOff.reset();
      if (task.task === 'append' && !more) return;
    }
  }

  /** `more`: the batch was full, there is more to append at once. */
  async #carryOut(task: Task): Promise<{ outcome: Outcome; more: boolean }> {
    let more = false;
    try {
      switch (task.task) {
        case 'verify':
          return { outcome: { of: 'verify', answer: await this.#claim.verify() }, more };
        case 'check':
          return { outcome: { of: 'check', answer: await this.#isSameLog(task.window) }, more };
        case 'fill':
          return { outcome: { of: 'fill', answer: await this.#fill(task) }, more };
        default: {
          // Put together now: while it waits for its turn, the ring may let go of that by which it was decided.
          const call = this.#prepare(task);
          const leave = await this.#parts.places.take(`${this.#at.topic}/${this.#at.partition}`);
          try {
            if (this.#closing.signal.aborted) return { outcome: { of: 'failure' }, more };
            more = call.more;
            const outcome = await within(deadlineMs, `${task.task} in Redis`, call.send());
            this.#parts.health(this, undefined);
            return { outcome, more };
          } finally {
            leave?.();
          }
        }
      }
    } catch (error) {
      this.#parts.log.debug(
        { event: 'replay_buffer_write_failed', ...this.#at, task: task.task, error },
        'a replay buffer cannot be kept',
      );
      // Who has left is nobody's trouble any more.
      if (!this.#closing.signal.aborted) this.#parts.health(this, messageOf(error));
      return { outcome: { of: 'failure' }, more };
    }
  }

  /** All that a call says is fixed here, in the turn in which its task was chosen. */
  #prepare(task: Exclude<Task, { task: 'verify' | 'check' | 'fill' }>): { send(): Promise<Outcome>; more: boolean } {
    const { store, metrics } = this.#parts;
    const { fence } = task;
    const told = <Answer extends { answer: string }>(answer: Answer): Answer => {
      if (answer.answer === 'STALE') metrics.fenced();
      if (answer.answer === 'HOLE') metrics.hole();
      return answer;
    };
    const at = { ...this.#at, topicId: this.#tail.topicId() };
    switch (task.task) {
      case 'claim':
        return {
          send: async () => ({ of: 'claim', answer: told(await store.claim(at, fence, task.force)) }),
          more: false,
        };
      case 'close':
        return {
          send: async () => ({ of: 'close', answer: told(await store.open(at, fence, undefined, 0)) }),
          more: false,
        };
      case 'open': {
        const { from } = task;
        const id = randomUUID();
        const send = async (): Promise<Outcome> => {
          const answer = told(await store.open(at, fence, id, from));
          if (answer.answer === 'OK') metrics.windowOpened();
          return { of: 'open', id, from, answer };
        };
        return { send, more: false };
      }
      case 'append': {
        const { records, newTail, mark } = this.#batch(task.after, task.until);
        const reached = this.#tail.reached();
        const last = newTail === reached.offset ? reached : mark;
        const tailEpoch = newTail === last?.offset ? last.leaderEpoch : undefined;
        const append = { fence, id: task.id, expectedTail: task.after, newTail, tailEpoch, records, mark };
        const send = async (): Promise<Outcome> => {
          const endTimer = metrics.appending();
          const answer = told(await store.append(at, append));
          endTimer();
          if (answer.answer === 'OK') metrics.appended(records.length);
          return { of: 'append', newTail, answer };
        };
        return { send, more: newTail + 1 < task.until };
      }
    }
  }

  #batch(after: number, until: number): { records: LogRecord[]; newTail: number; mark: Point | undefined } {
    const records: LogRecord[] = [];
    let sizeBytes = 0;
    let newTail = until - 1;
    let mark: Point | undefined;
    for (const record of this.#tail.ring.after(after, until)) {
      if (records.length >= batchRecords || (records.length > 0 && sizeBytes + record.sizeBytes > batchBytes)) {
        newTail = mark?.offset ?? after;
        break;
      }
      records.push(record);
      sizeBytes += record.sizeBytes;
      mark = pointOf(record);
    }
    return { records, newTail, mark };
  }

  /**
   * By the window's end: a log that was truncated does not have its epoch there any more, and a topic that was made anew has other
   * records. What cannot be told is another.
   */
  async #isSameLog({ tail, tailEpoch, mark }: Window): Promise<'same' | 'other' | 'unknown'> {
    if (mark === undefined) return 'other';
    try {
      if (!(await this.#parts.histories.holds(this.#at, this.#tail, pointAt(tail, -1, tailEpoch)))) return 'other';
    } catch {
      return 'unknown';
    }
    const inRing = this.#tail.ring.timestampAt(mark.offset);
    if (inRing !== undefined) return inRing === mark.timestampMs ? 'same' : 'other';
    try {
      const { records, endOffset, topicId } = await this.#parts.topics.fetch(this.#at, mark.offset, checkBytes);
      // The tail reads a topic that is gone, and will notice: until then there is nothing to compare.
      if (!isSameTopic(this.#tail.topicId(), topicId)) return 'unknown';
      const found = records.find(({ offset }) => offset === mark.offset);
      return found?.timestampMs === mark.timestampMs && tail < endOffset ? 'same' : 'other';
    } catch (error) {
      return error instanceof OffsetOutOfRangeError ? 'other' : 'unknown';
    }
  }

  /** `done`, but not filled, where the log does not have it any more or it is too much. */
  #fill({ from, until, life }: Task & { task: 'fill' }): Promise<'done' | 'unknown'> {
    const { scans, maxFillBytes } = this.#parts;
    const { signal } = this.#closing;
    return new Promise(resolve => {
      let filled: LogRecord[] = [];
      let sizeBytes = 0;
      const done = (answer: 'done' | 'unknown') => {
        // Else the records would stay for as long as the partition is kept; the ring has the list itself.
        signal.removeEventListener('abort', aborted);
        filled = [];
        resolve(answer);
      };
      const aborted = () => {
        leave();
        done('unknown');
      };
      const leave = scans.join(this.#at, {
        from,
        until,
        key: undefined,
        mark: this.#tail.topicId(),
        expected: undefined,
        scanned: (records, through) => {
          for (const record of records) {
            if (record.record.offset >= until) break;
            filled.push(record);
            sizeBytes += record.sizeBytes;
          }
          const tooMuch = sizeBytes > maxFillBytes;
          if (!tooMuch && through.offset + 1 < until) return true;
          const view = this.#view();
          const fits = life === this.#upkeep.life && until === view.ringFrom;
          if (!tooMuch && fits) this.#tail.ring.prepend(from, filled, until);
          done('done');
          return false;
        },
        failed: fault => done(fault === 'BUSY' || fault === 'SILENT' ? 'unknown' : 'done'),
      });
      signal.addEventListener('abort', aborted);
    });
  }
}

/** Not at once again: what it met may still be so. */
function isSetback(outcome: Outcome): boolean {
  if (outcome.of === 'failure' || outcome.answer === 'unknown') return true;
  return typeof outcome.answer === 'object' && outcome.answer.answer === 'HOLE';
}

function fenceOf({ generation, counter }: Fence): Fence {
  return { generation, counter };
}
