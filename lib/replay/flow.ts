/** One partition of one stream: does what the seam decides. */
import type { UnreadableBatchError } from '../kafka/index.ts';
import type { ReadFault, ReadFaultAt, TopicPartition } from '../kafka/types.ts';
import type { BufferAnswer, ReplayBuffer } from './buffer/buffer.ts';
import type { CutFlow, Histories } from './history.ts';
import { type LogRecord, leaveBatch, type Point, pointAt, pointOf } from './log-record.ts';
import type { ReplayMetrics, ReplayTier } from './metrics.ts';
import type { ReadTurns } from './read-turns.ts';
import type { ScanFault, Scans } from './scan.ts';
import type { Seam } from './seam.ts';
import type { SequenceMemory } from './sequence-filter.ts';
import type { Tail, TailListener } from './tail.ts';
import { isSameTopic } from './topic-mark.ts';

/** What a flow needs of its stream. */
export interface FlowStream {
  key: string | undefined;
  /** Of the topic that the positions are for; undefined: whichever has the name. */
  mark: string | undefined;
  scans: Scans;
  /** Redis, where there is one. */
  buffer: Pick<ReplayBuffer, 'read'> | undefined;
  histories: Pick<Histories, 'shares'>;
  metrics: ReplayMetrics;
  /** Whether this much more may be queued for the taker. Always, when nothing is: so a flow that waits is always woken. */
  hasRoom(bytes: number): boolean;
  /** ALL: who reads the log. Undefined: whoever wants to. */
  readTurns: ReadTurns | undefined;
  /** Whether this much more may wait for the end of a replay. */
  mayKeep(bytes: number): boolean;
  /** Records that wait for the end of a replay have become more or (negative) fewer. */
  keep(bytes: number): void;
  queue(record: LogRecord): void;
  /** This much of the log was read for the stream; false: it was too much, and the stream has ended. */
  replayed(bytes: number): boolean;
  /** It has caught up. */
  wentLive(): void;
  /** Live has stopped by a fault: the stream lets the flow go on, or ends. */
  interrupted(flow: Flow, fault: ReadFault, where: ReadFaultAt): void;
  /** @param error for `UNREADABLE`: what cannot be read, where it is a batch of the log. */
  faulted(flow: Flow, fault: ScanFault, error?: UnreadableBatchError): void;
}

export class Flow implements TailListener {
  readonly at: TopicPartition;
  readonly #tail: Tail;
  readonly #stream: FlowStream;
  readonly #seam: Seam;
  /** The record at the seam's `passed` must be seen once more, with its timestamp. */
  #check = false;
  /** A replay that waits for the taker. */
  #paused = false;
  /** A scan or a question to the buffer that is under way. */
  #leave: (() => void) | undefined;
  /** The buffer has said what it knows of this stretch. */
  #bufferAsked = false;
  #attaching = false;
  /** What live had reached when it was attached. */
  #met: Point | undefined;
  /** Live has not come by `passed` yet: then it is seen whether it reads the log in which that was passed. */
  #isAhead = false;
  /** Between an interruption and `goOn`: what is passed must stay as it is while it is judged. */
  #halted = false;
  #closed = false;
  /** Not yet counted as resumed; the lowest tier that was needed counts. */
  #resuming = false;
  #tier: ReplayTier = 'memory';

  /** Takes the tail over: it is released when the flow is closed. */
  constructor(at: TopicPartition, tail: Tail, seam: Seam, stream: FlowStream) {
    this.at = at;
    this.#tail = tail;
    this.#stream = stream;
    this.#seam = seam;
  }

  mustCheck(): void {
    this.#check = true;
  }

  get isLive(): boolean {
    return this.#seam.state.phase === 'live';
  }

  begin(resuming: boolean): void {
    this.#resuming = resuming;
    this.#attach();
  }

  /** The taker has room again. */
  taken(): void {
    if (this.#closed || this.#halted) return;
    if (this.#seam.state.phase === 'waiting') this.#attach();
    else this.mayRead();
  }

  /** Another has read the log, and it may be this one's turn. */
  mayRead(): void {
    if (this.#paused && !this.#closed && !this.#halted) this.#replay();
  }

  advance(at: Point): void {
    this.#seam.advance(at);
  }

  watermark(): Point {
    const reached = this.#tail.reached();
    if (!this.#showsCut(reached)) return this.#seam.watermark(reached);
    this.#haltBeforeCut();
    return this.#seam.watermark(this.#seam.passed);
  }

  close(): void {
    if (this.#closed) return;
    const reached = this.#beforeCut(this.#tail.reached());
    this.#closed = true;
    this.#tail.detach(this.#stream.key, this);
    this.#seam.detached(reached);
    this.#stopReplay();
    this.#tail.release();
  }

  /** Where it throws, the record may be neither queued nor sent: the stream is told, for the tail goes on. */
  live(record: LogRecord, before: Point): void {
    try {
      this.#live(record, before);
    } catch (error) {
      this.#fail('SINK_FAILED');
      throw error;
    }
  }

  #live(record: LogRecord, before: Point): void {
    if (this.#showsCut(pointOf(record))) {
      this.#haltBeforeCut();
      return;
    }
    const waited = this.#seam.bufferBytes;
    const { sizeBytes } = record;
    const room = this.isLive ? this.#stream.hasRoom(sizeBytes) : this.#stream.mayKeep(sizeBytes);
    switch (this.#seam.live(record, before, room)) {
      case 'queue':
        this.#stream.queue(record);
        return;
      case 'buffered':
        leaveBatch(record);
        this.#stream.keep(sizeBytes);
        return;
      case 'let-go':
        this.#stream.keep(-waited);
        this.#tail.detach(this.#stream.key, this);
        return;
      case 'skip':
        return;
    }
  }

  /**
   * Returns whether the log may have lost what was passed ahead of the tail: the tail has come to a point of a later leader.
   * Where that point lies behind what was passed this may be wrong, which those who judge find out.
   */
  #showsCut({ offset, leaderEpoch }: Point): boolean {
    if (!this.#isAhead || !this.isLive) return false;
    const { passed } = this.#seam;
    if (offset > passed.offset) this.#isAhead = false;
    return leaderEpoch !== undefined && passed.leaderEpoch !== undefined && leaderEpoch > passed.leaderEpoch;
  }

  /** Returns what the tail has reached, or what was passed where the log may have been cut between the two. */
  #beforeCut(reached: Point): Point {
    return this.#showsCut(reached) ? this.#seam.passed : reached;
  }

  #haltBeforeCut(): void {
    const { passed } = this.#seam;
    this.#tail.detach(this.#stream.key, this);
    this.stopped('TRUNCATED', passed, { ...this.at, offset: passed.offset });
  }

  stopped(fault: ReadFault, reached: Point, where: ReadFaultAt): void {
    this.#stream.keep(-this.#seam.bufferBytes);
    this.#seam.detached(this.#beforeCut(reached));
    this.#stopReplay();
    this.#halted = true;
    this.#stream.interrupted(this, fault, where);
  }

  /** Everything up to here is queued or was not wanted: what has to be in the log for the flow to go on. */
  get passed(): Point {
    return this.#seam.passed;
  }

  get cut(): CutFlow {
    const { passed, given } = this.#seam;
    return { passed, given };
  }

  /** While it is halted: what was passed behind this point is not in the log any more. */
  rollBack(to: Point, sequences?: SequenceMemory): void {
    this.#stream.keep(-this.#seam.bufferBytes);
    this.#seam.detached(to);
    this.#seam.rollBack(to, sequences);
  }

  /**
   * After an interruption or a fault: anew, behind `passed`. `check`: the record there must still have its timestamp;
   * undefined: as it was.
   */
  goOn(check = this.#check): void {
    if (this.#closed) return;
    this.#halted = false;
    this.#stream.keep(-this.#seam.bufferBytes);
    this.#tail.detach(this.#stream.key, this);
    this.#seam.detached(this.#tail.reached());
    this.#check = check;
    this.#stopReplay();
    this.#attach();
  }

  /** Attaches to live as soon as the tail reads, and replays what lies between. */
  #attach(): void {
    if (this.#closed || this.#attaching) return;
    const next = this.#tail.attach(this.#stream.key, this);
    if (next === undefined) {
      this.#attaching = true;
      const again = () => {
        this.#attaching = false;
        this.#attach();
      };
      this.#tail.ready().then(again, () => {
        this.#attaching = false;
      });
      return;
    }
    if (!isSameTopic(this.#stream.mark, this.#tail.topicId())) {
      this.#tail.detach(this.#stream.key, this);
      this.#halted = true;
      this.#fail('TOPIC_RECREATED');
      return;
    }
    this.#bufferAsked = false;
    this.#met = this.#tail.reached();
    if (this.#check) this.#lookAtPassed();
    if (this.#closed) return;
    if (this.#seam.attach(next, !this.#check)) this.#replay();
    else this.#wentLive();
  }

  /** Often the tail still has the record at the position: that saves reading it. */
  #lookAtPassed(): void {
    const { offset, timestampMs } = this.#seam.passed;
    const reached = this.#tail.reached();
    const seen =
      reached.offset === offset && reached.timestampMs >= 0 ? reached.timestampMs : this.#tail.ring.timestampAt(offset);
    if (offset < 0 || seen === timestampMs) this.#check = false;
    else if (seen !== undefined && timestampMs >= 0) this.#fail('TIMESTAMP_DIFFERS');
  }

  #replay(): void {
    const state = this.#seam.state;
    if (this.#closed || state.phase !== 'replaying' || this.#leave !== undefined) return;
    this.#paused = false;
    const { offset } = this.#seam.passed;
    if (!this.#check && this.#tail.ring.reaches(offset)) this.#replayFromRing(offset, state.until);
    else if (!this.#askBuffer(state.until)) this.#readLog(state.until);
  }

  #readLog(until: number): void {
    const { readTurns, scans, key, mark } = this.#stream;
    if (readTurns !== undefined && !readTurns.begin(this)) {
      this.#paused = true;
      return;
    }
    const { passed } = this.#seam;
    const { offset, leaderEpoch } = passed;
    const checks = this.#check && offset >= 0;
    this.#tier = 'kafka';
    this.#leave = scans.join(this.at, {
      from: checks ? offset : offset + 1,
      lastEpoch: checks ? undefined : leaderEpoch,
      until,
      key,
      mark,
      expected: checks && passed.timestampMs >= 0 ? passed : undefined,
      scanned: (records, through, readBytes) => this.#scanned(records, through, readBytes),
      failed: (fault, error) => this.#fail(fault, error),
    });
  }

  /** Ends the scan or the question to the buffer that is under way. */
  #stopReplay(): void {
    this.#leave?.();
    this.#leave = undefined;
    this.#stream.readTurns?.end(this);
  }

  /** @returns whether it will answer. */
  #askBuffer(until: number): boolean {
    const { key, buffer } = this.#stream;
    if (this.#bufferAsked || key === undefined || buffer === undefined) return false;
    const after = this.#seam.passed;
    const check = this.#check && after.offset >= 0 && after.timestampMs >= 0;
    const holds = (last: Point) => this.#stream.histories.shares(this.at, this.#tail, last);
    this.#leave = buffer.read(this.at, { key, topicId: this.#tail.topicId(), after, check, holds }, answer => {
      this.#leave = undefined;
      if (answer === undefined || answer.done) this.#bufferAsked = true;
      if (answer === undefined) this.#replay();
      else this.#replayFromBuffer(answer, until);
    });
    return this.#leave !== undefined;
  }

  #replayFromBuffer({ records, through, throughEpoch }: BufferAnswer, until: number): void {
    this.#check = false;
    if (this.#tier === 'memory') this.#tier = 'redis';
    for (const record of records) {
      if (record.record.offset >= until) break;
      if (!this.#stream.hasRoom(record.sizeBytes)) {
        this.#bufferAsked = false;
        this.#paused = true;
        return;
      }
      if (this.#seam.replay(record)) this.#stream.queue(record);
    }
    const end = through < until - 1 ? pointAt(through, -1, throughEpoch) : this.#lastBefore(until);
    if (this.#through(end)) this.#replay();
  }

  #replayFromRing(after: number, until: number): void {
    const { key } = this.#stream;
    for (const record of this.#tail.ring.after(after, until)) {
      if (key !== undefined && record.key !== key) continue;
      if (!this.#stream.hasRoom(record.sizeBytes)) {
        this.#paused = true;
        return;
      }
      if (this.#seam.replay(record)) this.#stream.queue(record);
    }
    this.#through(this.#lastBefore(until));
  }

  /** What lies right before `until`; live knows it, where that is where it was met. */
  #lastBefore(until: number): Point {
    return this.#met?.offset === until - 1 ? this.#met : { offset: until - 1, timestampMs: -1 };
  }

  #scanned(records: readonly LogRecord[], through: Point, readBytes: number): boolean {
    if (this.#closed) return false;
    this.#check = false;
    if (!this.#stream.replayed(readBytes)) return false;
    for (const record of records) {
      if (!this.#stream.hasRoom(record.sizeBytes)) return this.#pauseScan();
      if (this.#seam.replay(record)) this.#stream.queue(record);
    }
    if (!this.#through(through)) return false;
    return this.#stream.readTurns?.goesOn() === false ? this.#pauseScan() : true;
  }

  /** @returns false: the scan goes on without it. */
  #pauseScan(): boolean {
    this.#paused = true;
    this.#stopReplay();
    return false;
  }

  /** @returns whether the replay goes on. */
  #through(through: Point): boolean {
    const waited = this.#seam.bufferBytes;
    const released = this.#seam.replayedThrough(through);
    if (released === undefined) return true;
    this.#stopReplay();
    this.#stream.keep(-waited);
    for (const record of released) this.#stream.queue(record);
    if (this.#seam.state.phase === 'waiting') this.#attach();
    else this.#wentLive();
    return false;
  }

  #wentLive(): void {
    this.#isAhead = this.#tail.reached().offset < this.#seam.passed.offset;
    if (this.#resuming) this.#stream.metrics.resumed(this.#tier);
    this.#resuming = false;
    this.#tier = 'memory';
    this.#stream.wentLive();
  }

  #fail(fault: ScanFault, error?: UnreadableBatchError): void {
    this.#stopReplay();
    this.#stream.faulted(this, fault, error);
  }
}
