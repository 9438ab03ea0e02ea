/**
 * A world without I/O or clock around one stream: logs that grow, live tails that read them in batches, fail and begin
 * anew, scans that hand out what they like when they like, a taker who is slow and who reconnects. Every step is chosen
 * by the test.
 */
import type { ReadFault } from '../../../lib/kafka/types.ts';
import type { BufferAnswer, BufferQuestion, ReplayBuffer } from '../../../lib/replay/buffer/buffer.ts';
import { type LogRecord, logRecord, type Point, pointOf } from '../../../lib/replay/log-record.ts';
import { openRings } from '../../../lib/replay/ring.ts';
import type { ScanClient, Scans } from '../../../lib/replay/scan.ts';
import type { SeamRules } from '../../../lib/replay/seam.ts';
import { repeats } from '../../../lib/replay/sequence-filter.ts';
import { beginStream } from '../../../lib/replay/stream.ts';
import type { Tail, TailListener } from '../../../lib/replay/tail.ts';
import type { RecordStream, StreamPosition, StreamRecord } from '../../../lib/replay/types.ts';

const topic = 't';

export interface WorldOptions {
  partitions: number;
  /** Undefined: an ALL stream. */
  key: string | undefined;
  /** Records that the stream's budget holds. */
  bufferRecords: number;
  ringRecords: number;
  rules: SeamRules;
}

export class World {
  readonly logs: SimulatedLog[];
  readonly scans = new SimulatedScans(this);
  readonly buffer = new SimulatedBuffer(this);
  readonly #options: WorldOptions;
  stream: RecordStream;
  /** Given by `next`, not yet advanced past. */
  taken: StreamRecord[] = [];
  /** Advanced past, over all connections. */
  readonly delivered: StreamRecord[] = [];
  readonly problems: string[] = [];
  #asked = false;
  #lastCursor: StreamPosition;

  constructor(options: WorldOptions) {
    this.#options = options;
    const rings = openRings(options.ringRecords * recordBytes);
    this.logs = Array.from({ length: options.partitions }, (_, partition) => new SimulatedLog(partition, rings.open()));
    this.#lastCursor = {
      partitions: this.logs.map(({ partition }) => ({ topic, partition, offset: -1, timestampMs: -1 })),
      sequences: {},
    };
    this.stream = this.#open(this.#lastCursor);
  }

  #open(position: StreamPosition): RecordStream {
    const { key, bufferRecords, rules } = this.#options;
    const starts = new Map(
      this.logs.map(log => {
        const point = position.partitions.find(({ partition }) => partition === log.partition);
        return [log.partition, { tail: log.tail(), point, check: (point?.timestampMs ?? -1) >= 0 }];
      }),
    );
    const metrics = { resumed() {}, expired() {}, scanned() {}, scansUnderWay() {} };
    const bounds = async () =>
      new Map(this.logs.map(({ partition, start, end }) => [partition, { start, end, topicId: '' }]));
    return beginStream(
      {
        topic,
        partitions: [...starts.keys()],
        key,
        start: { kind: 'position', position },
        bufferBytes: bufferRecords * recordBytes,
      },
      starts,
      {
        scans: this.scans,
        buffer: this.buffer,
        offsets: { bounds },
        histories: { end: async () => undefined, shares: async () => true },
        metrics,
        scanMaxBytes: Number.MAX_SAFE_INTEGER,
        rules,
      },
      () => undefined,
    );
  }

  log(which: number): SimulatedLog {
    const log = this.logs[which % this.logs.length];
    if (log === undefined) throw new Error('no log');
    return log;
  }

  /** Asks for the next records, as a taker does who has worked off the last ones. */
  async take(): Promise<void> {
    if (!this.#asked && this.taken.length === 0) {
      this.#asked = true;
      const { stream } = this;
      stream.next().then(
        records => {
          if (stream !== this.stream) return;
          this.#asked = false;
          this.taken = [...(records ?? [])];
        },
        error => this.problems.push(`the stream ended: ${error}`),
      );
    }
    await settle();
  }

  advance(count: number): void {
    for (const record of this.taken.splice(0, count)) {
      this.#lastCursor = this.stream.advance(record);
      this.delivered.push(record);
      for (const { partition, offset } of this.#lastCursor.partitions) this.#checkPosition('cursor', partition, offset);
    }
  }

  /** What a ping would carry: behind all that was advanced past, before all that was not. */
  checkWatermark(): StreamPosition {
    const watermark = this.stream.watermark();
    for (const { partition, offset } of watermark.partitions) this.#checkPosition('watermark', partition, offset);
    return watermark;
  }

  #checkPosition(what: string, partition: number, offset: number): void {
    const log = this.log(partition);
    if (offset >= log.end) this.problems.push(`${what} of ${partition} is ${offset}, past the end ${log.end}`);
    const delivered = new Set(this.delivered.map(({ record }) => `${record.partition}/${record.offset}`));
    for (const { record } of this.truth(log)) {
      const done = delivered.has(`${partition}/${record.offset}`);
      if (!done && record.offset <= offset)
        this.problems.push(`${what} ${offset} passes ${partition}/${record.offset}`);
      if (done && record.offset > offset)
        this.problems.push(`${what} ${offset} is behind ${partition}/${record.offset}`);
    }
  }

  /** Goes on from the last event's cursor or from a ping's, on a new stream. What was taken and not done is lost. */
  async reconnect(fromPing: boolean): Promise<void> {
    const position = fromPing ? this.checkWatermark() : this.#lastCursor;
    this.stream.close();
    await settle();
    this.taken = [];
    this.#asked = false;
    this.#lastCursor = position;
    this.stream = this.#open(position);
  }

  /** Retention removes what the client has, and only that: no position of its is lost. */
  forget(which: number): void {
    const log = this.log(which);
    const passed = this.#lastCursor.partitions.find(({ partition }) => partition === log.partition)?.offset ?? -1;
    log.start = Math.max(log.start, passed + 1);
  }

  /** Lets everything run out; afterwards nothing may be missing. */
  async finish(): Promise<void> {
    for (let round = 0; round < 500; round += 1) {
      for (const log of this.logs) {
        log.restart();
        await settle();
        log.show(1_000);
      }
      for (let scan = 0; scan < this.logs.length; scan += 1) this.scans.step(scan, 1_000, 0);
      this.buffer.answer(0, round % 2 === 0, 1_000, 1_000);
      await this.take();
      this.advance(1_000);
      const watermark = this.checkWatermark().partitions;
      if (watermark.every(({ partition, offset }) => offset === this.log(partition).end - 1)) break;
    }
    for (const log of this.logs) {
      const show = (records: readonly StreamRecord[]) =>
        records.map(({ record, sequence }) => `${record.offset}#${sequence ?? '-'}`).join(' ');
      const got = show(this.delivered.filter(({ record }) => record.partition === log.partition));
      const expected = show(this.truth(log));
      if (got !== expected) this.problems.push(`partition ${log.partition}: got ${got}, not ${expected}`);
      const at = this.checkWatermark().partitions.find(({ partition }) => partition === log.partition)?.offset;
      if (at !== log.end - 1)
        this.problems.push(`partition ${log.partition}: idle at ${at}, the log ends at ${log.end}`);
    }
    this.stream.close();
  }

  /** What the stream has to deliver of a log. */
  truth(log: SimulatedLog): StreamRecord[] {
    const last = new Map<string, number>();
    return log.records.filter(({ key, sequence }) => {
      if (key === undefined || (this.#options.key !== undefined && key !== this.#options.key)) return false;
      if (repeats(last.get(key), sequence)) return false;
      if (sequence !== undefined) last.set(key, sequence);
      return true;
    });
  }
}

class SimulatedLog {
  readonly partition: number;
  readonly records: LogRecord[] = [];
  /** Retention has removed what is before it. */
  start = 0;
  end = 0;
  readonly #ring;
  readonly #listeners: { key: string | undefined; listener: TailListener }[] = [];
  readonly #sequences = new Map<string, number>();
  #reading = true;
  #reached: Point = { offset: -1, timestampMs: -1 };
  #waiting: (() => void)[] = [];

  constructor(partition: number, ring: Tail['ring']) {
    this.partition = partition;
    this.#ring = ring;
  }

  /** `repeat`: under a sequence that the key has had. `gap`: offsets that compaction or a transaction's end took. */
  append(key: string, repeat: number, gap: number): void {
    const last = this.#sequences.get(key) ?? 0;
    const sequence = repeat > 0 && last > 0 ? Math.max(1, last - repeat + 1) : last + 1;
    this.#sequences.set(key, Math.max(last, sequence));
    const offset = this.end + gap;
    this.end = offset + 1;
    const headers = { ce_keysequence: `${sequence}` };
    const timestampMs = 1_000_000 + offset;
    this.records.push(
      logRecord({ topic, partition: this.partition, offset, timestampMs, key: Buffer.from(key), value: null, headers }),
    );
  }

  tail(): Tail {
    return {
      ring: this.#ring,
      ready: () =>
        this.#reading
          ? Promise.resolve()
          : new Promise(resolve => {
              this.#waiting.push(resolve);
            }),
      attach: (key, listener) => {
        if (!this.#reading) return undefined;
        this.#listeners.push({ key, listener });
        return this.#reached.offset + 1;
      },
      detach: (_key, listener) => {
        const index = this.#listeners.findIndex(one => one.listener === listener);
        if (index >= 0) this.#listeners.splice(index, 1);
      },
      follow: () => () => undefined,
      reached: () => this.#reached,
      topicId: () => undefined,
      isReading: () => this.#reading,
      lastSequence: () => undefined,
      release: () => undefined,
    };
  }

  /** The live tail reads this many records more. */
  show(count: number): void {
    if (!this.#reading) return;
    const first = this.#reached.offset + 1;
    const batch = this.records.filter(({ record }) => record.offset >= first).slice(0, count);
    for (const record of batch) {
      for (const { key, listener } of [...this.#listeners]) {
        if (key !== undefined && key !== record.key) continue;
        if (this.#listeners.some(one => one.listener === listener)) listener.live(record, this.#reached);
      }
      this.#reached = pointOf(record);
    }
    this.#ring.append(first, batch, this.#reached.offset + 1);
  }

  fail(fault: ReadFault): void {
    if (!this.#reading) return;
    this.#reading = false;
    this.#ring.drop();
    for (const { listener } of this.#listeners.splice(0))
      listener.stopped(fault, this.#reached, { topic, partition: this.partition, offset: this.#reached.offset + 1 });
  }

  /** At the log's end, past whatever was not read. */
  restart(): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#reached = { offset: this.end - 1, timestampMs: -1 };
    for (const resume of this.#waiting.splice(0)) resume();
  }
}

class SimulatedScans implements Scans {
  readonly #world: World;
  readonly #riders = new Set<{ partition: number; client: ScanClient; next: number }>();

  constructor(world: World) {
    this.#world = world;
  }

  join({ partition }: { partition: number }, client: ScanClient): () => void {
    const rider = { partition, client, next: client.from };
    this.#riders.add(rider);
    return () => this.#riders.delete(rider);
  }

  close(): void {
    this.#riders.clear();
  }

  /** One of those that wait is handed this many records of the log, some of them `again`. */
  step(which: number, count: number, again: number): void {
    const riders = [...this.#riders];
    const rider = riders[which % Math.max(1, riders.length)];
    if (rider === undefined) return;
    const log = this.#world.log(rider.partition);
    const from = rider.next;
    if (from < log.start) {
      this.#riders.delete(rider);
      rider.client.failed('OFFSET_OUT_OF_RANGE');
      return;
    }
    const batch = log.records.filter(({ record }) => record.offset >= from).slice(0, count);
    const through = batch.length < count ? { offset: log.end - 1, timestampMs: -1 } : pointOf(last(batch));
    if (through.offset < from) return;
    const older = log.records
      .filter(({ record }) => record.offset < from && record.offset >= log.start)
      .slice(-again || log.records.length);
    const { client } = rider;
    const expected = batch.find(({ record }) => record.offset === client.expected?.offset);
    if (expected !== undefined && expected.record.timestampMs !== client.expected?.timestampMs) {
      this.#riders.delete(rider);
      client.failed('TIMESTAMP_DIFFERS');
      return;
    }
    rider.next = through.offset + 1;
    const wanted = [...older, ...batch].filter(({ key }) => client.key === undefined || key === client.key);
    if (!client.scanned(wanted, through, 0) || rider.next >= client.until) this.#riders.delete(rider);
  }
}

/** Answers when and as far as it likes, or knows nothing; what it says is so. */
class SimulatedBuffer implements Pick<ReplayBuffer, 'read'> {
  readonly #world: World;
  readonly #questions = new Set<{
    partition: number;
    question: BufferQuestion;
    answered: (answer: BufferAnswer | undefined) => void;
  }>();
  away = false;

  constructor(world: World) {
    this.#world = world;
  }

  read(
    { partition }: { partition: number },
    question: BufferQuestion,
    answered: (answer: BufferAnswer | undefined) => void,
  ): (() => void) | undefined {
    if (this.away) return undefined;
    const asked = { partition, question, answered };
    this.#questions.add(asked);
    return () => this.#questions.delete(asked);
  }

  /** One that waits is answered: as far as the buffer's tail, `behind` offsets before the log's end, `page` records at most. */
  answer(which: number, knows: boolean, behind: number, page: number): void {
    const questions = [...this.#questions];
    const asked = questions[which % Math.max(1, questions.length)];
    if (asked === undefined) return;
    this.#questions.delete(asked);
    const { partition, question, answered } = asked;
    const { key, after } = question;
    const log = this.#world.log(partition);
    const tail = log.end - 1 - behind;
    if (!knows || tail < after.offset) {
      answered(undefined);
      return;
    }
    const all = log.records.filter(
      one => one.key === key && one.record.offset > after.offset && one.record.offset <= tail,
    );
    const records = all.slice(0, page);
    const done = records.length === all.length;
    answered({ records, through: done ? tail : last(records).record.offset, done });
  }
}

/** What the room reckons for one of these records. */
const recordBytes = logRecord({
  topic,
  partition: 0,
  offset: 0,
  timestampMs: 0,
  key: Buffer.from('k'),
  value: null,
  headers: { ce_keysequence: '1' },
}).sizeBytes;

function last<Item>(items: readonly Item[]): Item {
  const item = items[items.length - 1];
  if (item === undefined) throw new Error('nothing there');
  return item;
}

/** Lets promises run that are resolved. */
function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
