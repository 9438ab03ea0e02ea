/**
 * One stream: a flow for each of its partitions, and the queue from which the taker is served. Over the queue's budget, a
 * flow lets go of live and goes on by replay when the taker comes back for more.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PenstockError } from '../errors.ts';
import type { UnreadableBatchError } from '../kafka/index.ts';
import type { EpochEnd, TopicPartition } from '../kafka/types.ts';
import type { ReplayBuffer } from './buffer/buffer.ts';
import { Flow, type FlowStream } from './flow.ts';
import { type FlowStart, firstSequence, markOf } from './flow-start.ts';
import type { Bounds, FreshOffsets } from './fresh-offsets.ts';
import { commonPoint, type Histories } from './history.ts';
import { type LogRecord, type Point, pointOf } from './log-record.ts';
import type { ReplayMetrics } from './metrics.ts';
import { openReadTurns, type ReadTurns } from './read-turns.ts';
import { type ScanFault, type Scans, tooManyWait } from './scan.ts';
import { Seam, type SeamRules, seamRules } from './seam.ts';
import { openSequenceMemory, openSingleSequence } from './sequence-filter.ts';
import { earliestPoint, judgeStart } from './start.ts';
import { StreamQueue } from './stream-queue.ts';
import { isSameTopic, marksOf, ofTopic } from './topic-mark.ts';
import type { PartitionPosition, RecordStream, StreamPosition, StreamRecord, StreamRequest } from './types.ts';
import { openBackOff } from './waiting.ts';

export interface StreamParts {
  scans: Scans;
  /** The Redis tier, where there is one. */
  buffer?: Pick<ReplayBuffer, 'read'> | undefined;
  offsets: Pick<FreshOffsets, 'bounds'>;
  histories: Pick<Histories, 'end' | 'shares'>;
  metrics: ReplayMetrics;
  scanMaxBytes: number;
  /** Default: `seamRules`. */
  rules?: SeamRules;
}

/** The position is for a topic that is gone: which one the next position is for, as far as it is known. */
interface Anew {
  topicMarks: Readonly<Record<string, string>>;
}

/** Until a reader that reads a topic that is gone is asked again, ms. */
const rereadMs = 50;
/** Before every record. */
const nothing: Point = { offset: -1, timestampMs: -1 };
/** Keys whose last sequence an ALL stream remembers, per partition. */
const rememberedKeys = 1_000;

/** Begins at once; `gone` is called when it is closed. */
export function beginStream(
  request: StreamRequest,
  starts: ReadonlyMap<number, FlowStart>,
  parts: StreamParts,
  gone: (stream: RecordStream) => void,
): RecordStream {
  return new Stream(request, starts, parts, gone);
}

class Stream implements RecordStream, FlowStream {
  readonly topic: string;
  readonly key: string | undefined;
  readonly mark: string | undefined;
  readonly #marks: Readonly<Record<string, string>>;
  readonly scans: Scans;
  readonly buffer: Pick<ReplayBuffer, 'read'> | undefined;
  readonly histories: Pick<Histories, 'end' | 'shares'>;
  readonly metrics: ReplayMetrics;
  readonly readTurns: ReadTurns | undefined;
  readonly #request: StreamRequest;
  readonly #parts: StreamParts;
  readonly #gone: (stream: RecordStream) => void;
  readonly #flows: Flow[] = [];
  readonly #flowOf = new Map<number, { flow: Flow; index: number }>();
  #positions: PartitionPosition[] = [];
  #sequences: Readonly<Record<string, number>>;
  readonly #queue: StreamQueue;
  #replayBytes = 0;
  #firstServed = 0;
  #wake: (() => void) | undefined;
  /** What `next` throws when it has given everything. */
  #failure: (() => PenstockError) | undefined;
  /** It was to go no further than live, and is there. */
  #over = false;
  readonly #closing = new AbortController();
  readonly #live = Promise.withResolvers<void>();

  constructor(
    request: StreamRequest,
    starts: ReadonlyMap<number, FlowStart>,
    parts: StreamParts,
    gone: (stream: RecordStream) => void,
  ) {
    this.#request = request;
    this.#parts = parts;
    this.#gone = gone;
    this.#queue = new StreamQueue(request.bufferBytes);
    this.topic = request.topic;
    this.key = request.key;
    this.readTurns = request.key === undefined ? openReadTurns(this.#queue, () => this.#offerTurns()) : undefined;
    this.scans = parts.scans;
    this.buffer = parts.buffer;
    this.histories = parts.histories;
    this.metrics = parts.metrics;
    this.mark = markOf(request, starts);
    this.#marks = this.mark === undefined ? {} : { [request.topic]: this.mark };
    const last = firstSequence(request, starts);
    this.#sequences = last === undefined ? {} : { [request.topic]: last };
    for (const [partition, { tail, point, check }] of starts) {
      const at: TopicPartition = { topic: request.topic, partition };
      // By partition: only within one are a key's records in order of sequence.
      const memory = this.key === undefined ? openSequenceMemory(rememberedKeys) : openSingleSequence(last);
      const given = request.start.kind === 'position' ? point : nothing;
      const seam = new Seam(point ?? tail.reached(), memory, parts.rules ?? seamRules, given);
      const flow = new Flow(at, tail, seam, this);
      if (check) flow.mustCheck();
      this.#flowOf.set(partition, { flow, index: this.#flows.length });
      this.#flows.push(flow);
    }
    for (const flow of this.#flows) flow.begin(request.start.kind === 'position');
    this.#readPositions();
  }

  async next(): Promise<readonly StreamRecord[] | undefined> {
    this.#comeBack();
    for (;;) {
      if (!this.#queue.isEmpty) return this.#queue.take();
      if (this.#failure !== undefined) throw this.#failure();
      if (this.#closing.signal.aborted || this.#over) return undefined;
      if (this.#wake !== undefined) throw new Error('next() is already waiting');
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }

  advance(record: StreamRecord): StreamPosition {
    const found = this.#flowOf.get(record.record.partition);
    if (found === undefined) throw new Error('a record of another stream');
    const point = pointOf(record);
    found.flow.advance(point);
    this.#positions[found.index] = { ...found.flow.at, ...point };
    this.#passSequence(record.sequence);
    return { partitions: this.#positions.slice(), sequences: this.#sequences, topicMarks: this.#marks };
  }

  watermark(): StreamPosition {
    this.#readPositions();
    return { partitions: this.#positions.slice(), sequences: this.#sequences, topicMarks: this.#marks };
  }

  get live(): Promise<void> {
    return this.#live.promise;
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort('closed');
    for (const flow of this.#flows) flow.close();
    this.#queue.clear();
    this.#wakeUp();
    this.#gone(this);
  }

  hasRoom(bytes: number): boolean {
    return this.#queue.hasRoom(bytes);
  }

  mayKeep(bytes: number): boolean {
    return this.#queue.mayKeep(bytes);
  }

  keep(bytes: number): void {
    this.#queue.keep(bytes);
  }

  queue(record: LogRecord): void {
    this.#queue.push(record);
    this.#wakeUp();
  }

  replayed(bytes: number): boolean {
    this.#replayBytes += bytes;
    if (this.#replayBytes <= this.#parts.scanMaxBytes) return true;
    this.#expire(`more than ${this.#parts.scanMaxBytes} bytes of the log lie behind it`, new Map());
    return false;
  }

  /** All flows live: the next cold replay may read as much again. */
  wentLive(): void {
    if (!this.#flows.every(({ isLive }) => isLive)) return;
    this.#replayBytes = 0;
    this.#live.resolve();
    if (this.#request.untilLive !== true) return;
    this.#over = true;
    this.#wakeUp();
  }

  /** A tail begins anew at the log's end, if there is a log: whether the position holds is asked here. */
  interrupted(flow: Flow): void {
    void this.#judge(flow, [flow], 'its live tail has stopped');
  }

  faulted(flow: Flow, fault: ScanFault, error?: UnreadableBatchError): void {
    if (fault === 'BUSY') this.#end(tooManyWait);
    else if (fault === 'SILENT') {
      const { topic, partition } = flow.at;
      this.#end(
        () => new PenstockError('UNAVAILABLE', `Kafka does not answer for ${topic}/${partition}: come back later`),
      );
    } else if (fault === 'UNREADABLE' && error !== undefined) {
      const { topic, partition } = flow.at;
      const { from, to, reason } = error;
      // Whoever goes on from there knows that it has missed something: nobody is led past it in silence.
      const behind = new Map([[partition, { offset: to - 1, timestampMs: -1 }]]);
      this.#expire(`offsets ${from} to ${to - 1} of ${topic}/${partition} cannot be read: ${reason}`, behind);
    } else if (fault === 'UNREADABLE' || fault === 'SINK_FAILED') {
      const { topic, partition } = flow.at;
      const what = fault === 'UNREADABLE' ? 'read' : 'taken';
      this.#end(() => new PenstockError('INTERNAL', `a batch of ${topic}/${partition} cannot be ${what}`));
    } else if (fault === 'TOPIC_RECREATED') void this.#tellApart(flow);
    else if (fault === 'TIMESTAMP_DIFFERS') this.#madeAnew();
    else void this.#judge(flow, [flow], 'the log does not have it any more', fault === 'TRUNCATED');
  }

  /** That invalidates the positions in all of the topic's partitions, whichever shows it. */
  #madeAnew(): void {
    void this.#judge(undefined, this.#flows, 'the topic was made anew');
  }

  /** What the flow reads and what its position is of are two topics: one of them is gone. */
  async #tellApart(flow: Flow): Promise<void> {
    const { partition } = flow.at;
    const ask = () => this.#parts.offsets.bounds(this.topic, [partition]);
    const found = (await this.#untilAnswered(ask, new Map<number, Bounds>())).get(partition);
    if (found === undefined || !isSameTopic(this.mark, found.topicId)) return this.#madeAnew();
    // What is read is the old one: the reader will notice, and begin anew.
    await sleep(rereadMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
    flow.goOn();
  }

  /**
   * Lets the flow go on if its position is in the log after all; else ends the stream, with where it can go on.
   * @param isCut a broker has said that the log was truncated below it.
   */
  async #judge(flow: Flow | undefined, lost: readonly Flow[], reason: string, isCut = false): Promise<void> {
    const asked = lost.map(({ at }) => at.partition);
    const bounds = await this.#untilAnswered(() => this.#parts.offsets.bounds(this.topic, asked), new Map());
    if (flow !== undefined) {
      const found = bounds.get(flow.at.partition);
      if (!isSameTopic(this.mark, found?.topicId)) return this.#madeAnew();
      const end = await this.#endOf(flow, flow.passed);
      const verdict = judgeStart(flow.passed, found, this.mark, end);
      if (verdict.verdict !== 'expired') {
        if (!isCut) return flow.goOn(verdict.verdict === 'check');
        return this.#expire(reason, earliestOf(lost, bounds), { topicMarks: this.#marks });
      }
      if (verdict.truncated) {
        const common = commonPoint(flow.cut, end, await this.#endOf(flow, flow.cut.given));
        if (common !== undefined) {
          this.#rollBack(flow, common);
          return flow.goOn(false);
        }
        return this.#expire(`${reason}: ${verdict.reason}`, earliestOf(lost, bounds), { topicMarks: this.#marks });
      }
      const anew = verdict.anew ? { topicMarks: this.#marksOf(bounds) } : undefined;
      this.#expire(`${reason}: ${verdict.reason}`, earliestOf(lost, bounds), anew);
    } else this.#expire(reason, earliestOf(lost, bounds), { topicMarks: this.#marksOf(bounds) });
  }

  /** The taker is done with what it had. */
  #comeBack(): void {
    if (this.#queue.comeBack()) this.#inTurn(flow => flow.taken());
  }

  #offerTurns(): void {
    this.#inTurn(flow => flow.mayRead());
  }

  /** Not always the same flow first: one with a long way to go would keep all the room to itself. */
  #inTurn(serve: (flow: Flow) => void): void {
    this.#firstServed += 1;
    const flows = this.#flows.length;
    for (let index = 0; index < flows; index += 1) {
      const flow = this.#flows[(index + this.#firstServed) % flows];
      if (flow !== undefined) serve(flow);
    }
  }

  /** Of the topic that came in this one's place; nothing where the brokers still tell of this one. */
  #marksOf(bounds: ReadonlyMap<number, Bounds>): Readonly<Record<string, string>> {
    const marks = marksOf(this.topic, bounds);
    return ofTopic(marks, this.topic) === this.mark ? {} : marks;
  }

  #expire(reason: string, earliest: ReadonlyMap<number, Point>, anew?: Anew): void {
    if (this.#failure !== undefined || this.#closing.signal.aborted) return;
    this.#parts.metrics.expired();
    // The position to go on from is read when it is thrown: until then the taker may advance.
    this.#end(() => this.#expiredError(reason, earliest, anew));
  }

  #end(failure: () => PenstockError): void {
    if (this.#failure !== undefined || this.#closing.signal.aborted) return;
    this.#failure = failure;
    for (const flow of this.#flows) flow.close();
    this.#wakeUp();
  }

  #passSequence(sequence: number | undefined): void {
    if (this.key === undefined || sequence === undefined) return;
    const last = this.#sequences[this.topic];
    if (last === undefined || sequence > last) this.#sequences = { [this.topic]: sequence };
  }

  #expiredError(reason: string, earliest: ReadonlyMap<number, Point>, anew?: Anew): PenstockError {
    const { partitions, sequences, topicMarks } = this.watermark();
    const position: StreamPosition = {
      // A log made anew may count anew.
      ...(anew ? { sequences: {}, ...anew } : { sequences, ...(topicMarks && { topicMarks }) }),
      partitions: partitions.map(item => {
        const { topic, partition } = item;
        const first = earliest.get(partition);
        return first === undefined ? item : { topic, partition, ...first };
      }),
    };
    return new PenstockError('CURSOR_EXPIRED', `the position cannot be served: ${reason}`, { position });
  }

  /** Where nothing was given, what is known of the key's sequences may be of records that are gone: then none is a repeat. */
  #rollBack(flow: Flow, to: Point): void {
    const wasGiven = this.key === undefined || flow.cut.given.offset >= 0;
    if (!wasGiven) this.#sequences = {};
    flow.rollBack(to, wasGiven ? undefined : openSingleSequence());
  }

  #endOf({ at }: Flow, { leaderEpoch }: Point): Promise<EpochEnd | undefined> {
    return this.#untilAnswered(() => this.histories.end(at, leaderEpoch), undefined);
  }

  /** Asks until Kafka answers or the stream is closed. */
  async #untilAnswered<Answer>(ask: () => Promise<Answer>, closed: Answer): Promise<Answer> {
    const backOff = openBackOff(this.#closing.signal);
    while (!this.#closing.signal.aborted) {
      try {
        return await ask();
      } catch {
        await backOff.wait();
      }
    }
    return closed;
  }

  #readPositions(): void {
    this.#positions = this.#flows.map(flow => ({ ...flow.at, ...flow.watermark() }));
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

function earliestOf(flows: readonly Flow[], bounds: ReadonlyMap<number, Bounds>): ReadonlyMap<number, Point> {
  return new Map(flows.map(({ at: { partition } }) => [partition, earliestPoint(bounds.get(partition))]));
}
