/**
 * A key's stream over a path of several partitions, for topics that have grown: one segment after the other, each by a
 * stream of its own, so that the key's order holds. A cursor names the partition that it is in, and that says where on the
 * path it goes on.
 */
import { PenstockError } from '../errors.ts';
import { nextOf, type Segment, segmentAt, withEnd } from './path.ts';
import type {
  PartitionPosition,
  RecordStream,
  RecordStreams,
  StreamPosition,
  StreamRecord,
  StreamRequest,
} from './types.ts';

export interface PathRequest extends Omit<StreamRequest, 'partitions' | 'untilLive' | 'key'> {
  key: string;
  /** Never empty. */
  path: readonly Segment[];
}

type Opening = Pick<RecordStreams, 'open' | 'earliest'> & {
  /** First offset whose timestamp is this or later. */
  offsetAt(topic: string, partition: number, timestampMs: number): Promise<number>;
};

/** @throws PenstockError as `RecordStreams.open`; CURSOR_EXPIRED for a position that is nowhere on the path. */
export async function openPathStream(records: Opening, request: PathRequest): Promise<RecordStream> {
  const stream = new PathStream(records, request);
  await stream.begin();
  return stream;
}

class PathStream implements RecordStream {
  readonly #records: Opening;
  readonly #request: PathRequest;
  /** What the start knows of later segments: a view's position is in all of them. */
  readonly #known = new Map<number, PartitionPosition>();
  #index = 0;
  #current: RecordStream | undefined;
  /** Between two segments. */
  #between: StreamPosition | undefined;
  #closed = false;
  readonly #live = Promise.withResolvers<void>();

  constructor(records: Opening, request: PathRequest) {
    this.#records = records;
    this.#request = request;
  }

  async begin(): Promise<void> {
    const { topic, path, start } = this.#request;
    if (start.kind === 'position') {
      const mine = start.position.partitions.filter(item => item.topic === topic);
      for (const item of mine) this.#known.set(item.partition, item);
      const index = segmentAt(path, mine);
      if (index === undefined) throw await this.#offPath();
      this.#index = index;
      if (this.#segment().to !== Number.POSITIVE_INFINITY || !this.#known.has(this.#segment().partition)) {
        return this.#enter(start.position);
      }
      return this.#open(start);
    }
    if (start.kind === 'now') this.#index = path.length - 1;
    else if (start.kind === 'time') {
      for (; this.#index < path.length - 1; this.#index += 1) {
        const { partition, to } = this.#segment();
        if ((await this.#records.offsetAt(topic, partition, start.timestampMs)) < to) break;
      }
    }
    return this.#open(start);
  }

  async next(): Promise<readonly StreamRecord[] | undefined> {
    while (!this.#closed && this.#current !== undefined) {
      const records = await this.#current.next();
      if (this.#closed) return undefined;
      const { to } = this.#segment();
      const within = (records ?? []).filter(({ record }) => record.offset < to);
      // What the partition holds behind it is of another time, or misplaced.
      if (within.length > 0) return within;
      if (records === undefined || records.length > 0) await this.#goOn();
    }
    return undefined;
  }

  advance(record: StreamRecord): StreamPosition {
    if (this.#current === undefined) throw new Error('a record of another stream');
    return this.#current.advance(record);
  }

  watermark(): StreamPosition {
    const position = this.#between ?? this.#current?.watermark() ?? { partitions: [], sequences: {} };
    const { to } = this.#segment();
    // The partition goes on without the key: what is behind the segment is of another stretch, or nobody's.
    const partitions = position.partitions.map(item =>
      item.offset < to ? item : { topic: item.topic, partition: item.partition, offset: to - 1, timestampMs: -1 },
    );
    return withEnd(this.#request.path, this.#index, { ...position, partitions });
  }

  get live(): Promise<void> {
    return this.#live.promise;
  }

  close(): void {
    this.#closed = true;
    this.#current?.close();
  }

  /** All of this segment has been taken and advanced past. */
  async #goOn(): Promise<void> {
    const position = this.#current?.watermark();
    this.#current?.close();
    this.#index = nextOf(this.#request.path, this.#index + 1);
    await this.#enter(position ?? { partitions: [], sequences: {} });
  }

  /** Begins a segment behind what is known of it. */
  async #enter({ sequences, topicMarks }: StreamPosition): Promise<void> {
    const start = this.#startOf(this.#index, sequences, topicMarks);
    this.#between = start.position;
    await this.#open(start);
    this.#between = undefined;
    if (this.#closed) this.#current?.close();
  }

  #startOf(
    index: number,
    sequences: StreamPosition['sequences'],
    topicMarks: StreamPosition['topicMarks'],
  ): { kind: 'position'; position: StreamPosition } {
    const { topic, path } = this.#request;
    const { partition, from } = path[index] ?? this.#segment();
    const known = this.#known.get(partition);
    const begin = { topic, partition, offset: from - 1, timestampMs: -1 };
    const partitions = [known !== undefined && known.offset >= from ? known : begin];
    return { kind: 'position', position: { partitions, sequences, ...(topicMarks && { topicMarks }) } };
  }

  async #open(start: StreamRequest['start']): Promise<void> {
    const { path, ...request } = this.#request;
    const { partition, to } = this.#segment();
    const untilLive = to !== Number.POSITIVE_INFINITY;
    this.#current = await this.#records.open({ ...request, partitions: [partition], start, untilLive });
    if (!untilLive) void this.#current.live.then(this.#live.resolve);
  }

  #segment(): Segment {
    const segment = this.#request.path[this.#index];
    if (segment === undefined) throw new Error('the path has no such segment');
    return segment;
  }

  /** Nobody recorded how the key has come from there to here: going on anywhere would be a jump. */
  async #offPath(): Promise<PenstockError> {
    const { topic, path } = this.#request;
    const position = await this.#records.earliest(topic, [path[0]?.partition ?? 0]);
    const message =
      'the position cannot be served: the key lives in another partition now, and no growth of the topic says so';
    return new PenstockError('CURSOR_EXPIRED', message, { position });
  }
}
