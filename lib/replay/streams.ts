import { PenstockError } from '../errors.ts';
import type { DirectReader, EpochEnd, KafkaRecord, Topics } from '../kafka/types.ts';
import type { Ops, PenstockConfig } from '../ops/index.ts';
import type { RedisClient } from '../redis/index.ts';
import { openReplayBuffer } from './buffer/buffer.ts';
import { openBufferStore } from './buffer/store.ts';
import type { BufferClaim } from './buffer/writer.ts';
import type { FlowStart } from './flow-start.ts';
import { type Bounds, openFreshOffsets } from './fresh-offsets.ts';
import { openHistories } from './history.ts';
import { openLogEnds } from './log-ends.ts';
import type { Point } from './log-record.ts';
import { replayMetrics } from './metrics.ts';
import { openRings } from './ring.ts';
import { openScans } from './scan.ts';
import { earliestPoint, judgeStart, type StartVerdict } from './start.ts';
import { beginStream } from './stream.ts';
import { openTails, type Tail } from './tail.ts';
import { beginTap } from './tap.ts';
import { isSameTopic, marksOf, ofTopic } from './topic-mark.ts';
import type { PartitionPosition, RecordStream, RecordStreams, StreamPosition, StreamRequest } from './types.ts';
import { within } from './waiting.ts';

export interface RecordStreamsParts {
  /** Of its own: this room assigns and unassigns as it needs. */
  reader: DirectReader;
  topics: Topics;
  config: PenstockConfig<'replay'>['replay'];
  /** The Redis tier; without it cold cursors are served from Kafka. `name`: of the deployment, see `openBufferStore`. */
  redis?: { client: RedisClient; name: string } | undefined;
  ops: Pick<Ops, 'log' | 'metrics'>;
}

/** Streams of records over shared live tails, resumable at any position within the log's retention. */
export function openRecordStreams({ reader, topics, config, redis, ops }: RecordStreamsParts): RecordStreams {
  const offsets = openFreshOffsets(topics);
  const logEnds = openLogEnds(topics);
  const rings = openRings(config.ringBytes);
  const metrics = replayMetrics(ops.metrics, rings.bytes);
  const histories = openHistories(topics);
  const tails = openTails({ reader, offsets, rings, histories, log: ops.log });
  const scans = openScans({
    topics,
    concurrency: config.concurrency,
    maxWaiting: config.maxWaiting,
    stallTimeoutMs: config.stallTimeoutMs,
    metrics,
    log: ops.log,
  });
  const buffer =
    redis === undefined
      ? undefined
      : openReplayBuffer({
          store: openBufferStore(redis.client, redis.name, config),
          topics,
          scans,
          histories,
          config,
          ops,
        });
  const held = new Map<string, Tail>();
  const open_ = new Set<RecordStream>();
  let closed = false;

  const leaveBuffer = (topic: string, partition: number) => buffer?.leave({ topic, partition });

  return { open, earliest, ends, hold, release, keepBuffer, leaveBuffer, tap, close };

  async function open(request: StreamRequest): Promise<RecordStream> {
    if (closed) throw new PenstockError('UNAVAILABLE', 'this replica is closing');
    const acquired = new Map(
      request.partitions.map(partition => [partition, tails.acquire({ topic: request.topic, partition }, false)]),
    );
    try {
      const starts = await within(config.openTimeoutMs, 'finding the start of the stream', startsOf(request, acquired));
      if (closed) throw new PenstockError('UNAVAILABLE', 'this replica is closing');
      const parts = { scans, buffer, offsets, histories, metrics, scanMaxBytes: config.scanMaxBytes };
      const stream = beginStream(request, starts, parts, gone => open_.delete(gone));
      open_.add(stream);
      return stream;
    } catch (error) {
      for (const tail of acquired.values()) tail.release();
      if (error instanceof PenstockError) throw error;
      ops.log.warn({ event: 'stream_open_failed', error, topic: request.topic }, 'a stream cannot be opened');
      throw new PenstockError('UNAVAILABLE', 'Kafka does not answer', {}, error);
    }
  }

  async function startsOf(
    request: StreamRequest,
    acquired: ReadonlyMap<number, Tail>,
  ): Promise<ReadonlyMap<number, FlowStart>> {
    const { start } = request;
    if (start.kind === 'position') return resumeAt(request, start.position, acquired);
    await Promise.all([...acquired.values()].map(tail => tail.ready()));
    const points = await firstPoints(request);
    return new Map(
      [...acquired].map(([partition, tail]) => [partition, { tail, point: points.get(partition), check: false }]),
    );
  }

  /** Where `earliest` and a time are; nothing for `now`, which is wherever a tail is. */
  async function firstPoints({ topic, partitions, start }: StreamRequest): Promise<ReadonlyMap<number, Point>> {
    if (start.kind === 'earliest') {
      const bounds = await offsets.bounds(topic, partitions);
      return new Map(partitions.map(partition => [partition, earliestPoint(bounds.get(partition))]));
    }
    if (start.kind !== 'time') return new Map();
    const found = partitions.map(async (partition): Promise<[number, Point]> => {
      const offset = await topics.offsetAt({ topic, partition }, start.timestampMs);
      return [partition, { offset: offset - 1, timestampMs: -1 }];
    });
    return new Map(await Promise.all(found));
  }

  async function resumeAt(
    request: StreamRequest,
    position: StreamPosition,
    acquired: ReadonlyMap<number, Tail>,
  ): Promise<ReadonlyMap<number, FlowStart>> {
    const { topic } = request;
    const mark = ofTopic(position.topicMarks, topic);
    const points = new Map<number, PartitionPosition>();
    for (const item of position.partitions) if (item.topic === topic) points.set(item.partition, item);
    const starts = new Map<number, FlowStart>();
    const unproved: number[] = [];
    for (const [partition, tail] of acquired) {
      const point = points.get(partition);
      const recent = () => offsets.recent(topic, partition);
      const isVouched = point !== undefined && histories.vouches({ topic, partition }, tail, point);
      const verdict = isVouched
        ? provedBy(tail, point, mark)
          ? 'good'
          : judgeByRecent(point, tail, recent, mark)
        : undefined;
      if (verdict !== undefined) starts.set(partition, { tail, point, check: verdict === 'check' });
      else unproved.push(partition);
    }
    if (unproved.length === 0) return starts;

    const [bounds, ends] = await Promise.all([
      offsets.bounds(topic, unproved),
      epochEnds(topic, unproved, points, acquired),
    ]);
    const expired = new Map<number, StartVerdict & { verdict: 'expired' }>();
    for (const partition of unproved) {
      const tail = acquired.get(partition);
      if (tail === undefined) continue;
      // A partition that the position does not know was added since: it starts at its beginning.
      const point = points.get(partition) ?? earliestPoint(bounds.get(partition));
      const verdict = judgeStart(point, bounds.get(partition), mark, ends.get(partition));
      if (verdict.verdict === 'expired') expired.set(partition, verdict);
      else starts.set(partition, { tail, point, check: verdict.verdict === 'check' });
    }
    if (expired.size > 0) throw expiredError(request, points, expired, bounds);
    await Promise.all([...acquired.values()].map(tail => tail.ready()));
    return starts;
  }

  /** What the log says of the epochs of positions that no tail vouches for. */
  async function epochEnds(
    topic: string,
    partitions: readonly number[],
    points: ReadonlyMap<number, Point>,
    acquired: ReadonlyMap<number, Tail>,
  ): Promise<ReadonlyMap<number, EpochEnd | undefined>> {
    const asked = partitions.map(async (partition): Promise<[number, EpochEnd | undefined]> => {
      const [at, point, tail] = [{ topic, partition }, points.get(partition), acquired.get(partition)];
      const isVouched = point === undefined || tail === undefined || histories.vouches(at, tail, point);
      return [partition, isVouched ? undefined : await histories.end(at, point.leaderEpoch)];
    });
    return new Map(await Promise.all(asked));
  }

  /** The partitions that are still good keep their positions, the others go on at the log's beginning. */
  function expiredError(
    { topic, partitions, start }: StreamRequest,
    points: ReadonlyMap<number, PartitionPosition>,
    expired: ReadonlyMap<number, StartVerdict & { verdict: 'expired' }>,
    bounds: ReadonlyMap<number, Bounds>,
  ): PenstockError {
    metrics.expired();
    const anew = [...expired.values()].some(verdict => verdict.anew);
    const position: StreamPosition = {
      partitions: partitions.map(partition => ({
        topic,
        partition,
        ...earliestPoint(bounds.get(partition)),
        ...(expired.has(partition) ? {} : points.get(partition)),
      })),
      sequences: start.kind !== 'position' || anew ? {} : start.position.sequences,
      topicMarks: marksOf(topic, bounds),
    };
    const reasons = [...expired].map(([partition, { reason }]) => `partition ${partition}: ${reason}`);
    return new PenstockError('CURSOR_EXPIRED', `the position cannot be served: ${reasons.join('; ')}`, { position });
  }

  async function earliest(topic: string, partitions: readonly number[]): Promise<StreamPosition> {
    metrics.expired();
    try {
      const bounds = await within(
        config.openTimeoutMs,
        'asking for the bounds of the log',
        offsets.bounds(topic, partitions),
      );
      return {
        partitions: partitions.map(partition => ({ topic, partition, ...earliestPoint(bounds.get(partition)) })),
        sequences: {},
        topicMarks: marksOf(topic, bounds),
      };
    } catch (error) {
      if (error instanceof PenstockError) throw error;
      throw new PenstockError('UNAVAILABLE', 'Kafka does not answer', {}, error);
    }
  }

  function ends(topic: string, partitions: readonly number[]): Promise<ReadonlyMap<number, number>> {
    return within(config.openTimeoutMs, 'asking for the end of the log', logEnds(topic, partitions));
  }

  async function hold(topic: string, partition: number): Promise<void> {
    if (closed) throw new PenstockError('UNAVAILABLE', 'this replica is closing');
    const name = `${topic}/${partition}`;
    const tail = held.get(name) ?? tails.acquire({ topic, partition }, true);
    held.set(name, tail);
    await tail.ready();
  }

  function release(topic: string, partition: number): void {
    const name = `${topic}/${partition}`;
    held.get(name)?.release();
    held.delete(name);
  }

  function keepBuffer(topic: string, partition: number, claim: BufferClaim): void {
    if (closed || buffer === undefined) return;
    buffer.keep({ topic, partition }, claim, () => tails.acquire({ topic, partition }, true));
  }

  async function tap(topic: string, partition: number, listener: (record: KafkaRecord) => void): Promise<() => void> {
    if (closed) throw new PenstockError('UNAVAILABLE', 'this replica is closing');
    return beginTap({ topic, partition }, listener, { tails, scans, metrics });
  }

  async function close(): Promise<void> {
    closed = true;
    for (const stream of [...open_]) stream.close();
    buffer?.close();
    for (const tail of held.values()) tail.release();
    held.clear();
    scans.close();
    tails.close();
  }
}

/**
 * Whether a tail has the record at this point, with this timestamp: then the point is in the log, and no broker need
 * be asked. Only ever says yes for sure; a tail that is behind says nothing.
 */
function provedBy(tail: Tail, { offset, timestampMs }: Point, mark: string | undefined): boolean {
  const reached = tail.reached();
  if (!isSameTopic(mark, tail.topicId())) return false;
  if (!tail.isReading() || timestampMs < 0 || offset > reached.offset) return false;
  return (reached.offset === offset ? reached.timestampMs : tail.ring.timestampAt(offset)) === timestampMs;
}

/**
 * By bounds that are up to a second old: enough to let a stream begin that was made for the topic that the tail reads, and
 * never to refuse it. Where retention has passed the point since, the stream says so when it reads there.
 */
function judgeByRecent(
  point: Point,
  tail: Tail,
  recent: () => Bounds | undefined,
  mark: string | undefined,
): 'good' | 'check' | undefined {
  const topicId = tail.topicId();
  if (mark === undefined || topicId === undefined || !tail.isReading()) return undefined;
  const bounds = recent();
  if (bounds?.topicId !== topicId) return undefined;
  const { verdict } = judgeStart(point, { ...bounds, end: tail.reached().offset + 1 }, mark);
  return verdict === 'expired' ? undefined : verdict;
}
