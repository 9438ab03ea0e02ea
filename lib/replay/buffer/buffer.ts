/**
 * The Redis tier: per partition and user key, the newest records behind one fence. Its owner appends what it has
 * delivered, after the fact and in batches; any gateway reads it, and believes only what is proved (proof.ts). Redis is
 * never in the live path: whatever is wrong with it costs a cold read of the log at most.
 */
import { messageOf } from '../../errors.ts';
import type { TopicPartition, Topics } from '../../kafka/types.ts';
import type { Ops } from '../../ops/index.ts';
import type { Histories } from '../history.ts';
import { type LogRecord, type Point, pointAt } from '../log-record.ts';
import type { Scans } from '../scan.ts';
import type { Tail } from '../tail.ts';
import { openPlaces, within } from '../waiting.ts';
import { unpackRecord } from './entry.ts';
import { bufferMetrics } from './metrics.ts';
import { prove } from './proof.ts';
import { pageBytes, pageRecords } from './store.ts';
import type { BufferStore, RawAnswer } from './types.ts';
import { type BufferClaim, BufferWriter, type WriterParts } from './writer.ts';

export interface BufferQuestion {
  key: string;
  /** Of the topic that the records are wanted of. */
  topicId: string | undefined;
  /** Records behind this. */
  after: Point;
  /** The record at `after` must be known to have its timestamp: else nothing is. */
  check: boolean;
  /** Whether records up to this one may be shown: a window may be of a log that has been truncated since. */
  holds(last: Point): Promise<boolean>;
}

/** Every record of the key in (after, through]. `done`: the buffer has no more to say behind that. */
export interface BufferAnswer {
  records: readonly LogRecord[];
  through: number;
  /** Leader epoch of the record at `through`, as far as known. */
  throughEpoch?: number | undefined;
  done: boolean;
}

export interface ReplayBuffer {
  /**
   * `answered` is called once, later; with undefined where nothing is proved. The returned function forgets the question.
   * Undefined: Redis does not answer these days, and is not asked.
   */
  read(
    at: TopicPartition,
    question: BufferQuestion,
    answered: (answer: BufferAnswer | undefined) => void,
  ): (() => void) | undefined;
  /** Keeps the partition's buffer from now on, under the newest claim. @param acquire a held tail, released at the end. */
  keep(at: TopicPartition, claim: BufferClaim, acquire: () => Tail): void;
  leave(at: TopicPartition): void;
  close(): void;
}

export interface ReplayBufferParts {
  store: BufferStore;
  topics: Pick<Topics, 'fetch'>;
  scans: Scans;
  histories: Pick<Histories, 'holds'>;
  config: { appendIntervalMs: number; appendsInFlight: number; fillRecords: number; ringBytes: number };
  ops: Pick<Ops, 'log' | 'metrics'>;
}

const readsInFlight = 64;
/** More are not asked: the log answers. */
const readsWaiting = 10_000;
const readDeadlineMs = 1_000;
/** After a question that Redis left unanswered, no other is asked for so long. */
const restMs = 1_000;
const warnIntervalMs = 10_000;

export function openReplayBuffer(parts: ReplayBufferParts): ReplayBuffer {
  const { store, config, ops } = parts;
  const writers = new Map<string, BufferWriter>();
  const troubled = new Map<BufferWriter, string>();
  const due = new Set<BufferWriter>();
  const readPlaces = openPlaces(readsInFlight, readsWaiting);
  let timer: NodeJS.Timeout | undefined;
  let restingUntilMs = 0;
  let warnedAtMs = -warnIntervalMs;
  let warned = false;
  const metrics = bufferMetrics(ops.metrics, {
    degraded: () => troubled.size,
    lag: () => [...writers.values()].reduce((sum, { lag }) => sum + lag, 0),
  });
  const writerParts: WriterParts = {
    ...{
      store,
      topics: parts.topics,
      scans: parts.scans,
      histories: parts.histories,
      metrics,
      log: ops.log,
      soon,
      health,
    },
    // Each writer has one call under way or waiting.
    places: openPlaces(config.appendsInFlight, Number.POSITIVE_INFINITY),
    maxFill: config.fillRecords,
    maxFillBytes: config.ringBytes,
  };

  return {
    read,
    keep(at, claim, acquire) {
      const writer = writers.get(nameOf(at));
      if (writer === undefined) writers.set(nameOf(at), new BufferWriter(at, acquire(), claim, writerParts));
      else writer.renew(claim);
    },
    leave(at) {
      const writer = writers.get(nameOf(at));
      if (writer === undefined) return;
      writers.delete(nameOf(at));
      due.delete(writer);
      writer.close();
    },
    close() {
      clearTimeout(timer);
      for (const writer of writers.values()) writer.close();
      writers.clear();
      due.clear();
    },
  };

  function soon(writer: BufferWriter): void {
    due.add(writer);
    timer ??= setTimeout(() => {
      timer = undefined;
      const now = [...due];
      due.clear();
      // All in one turn: their calls leave in one write.
      for (const one of now) one.run();
    }, config.appendIntervalMs);
  }

  /** Logged when it begins, when it is over, and now and then between. */
  function health(writer: BufferWriter, problem: string | undefined): void {
    if (problem === undefined) {
      troubled.delete(writer);
      if (troubled.size > 0 || !warned) return;
      warned = false;
      ops.log.info({ event: 'replay_buffer_back' }, 'the replay buffer is kept again');
      return;
    }
    troubled.set(writer, problem);
    const nowMs = performance.now();
    if (nowMs - warnedAtMs < warnIntervalMs) return;
    warnedAtMs = nowMs;
    warned = true;
    ops.log.warn(
      { event: 'replay_buffer_away', partitions: troubled.size, reason: problem },
      'the replay buffer is not kept: Redis does not take it',
    );
  }

  function read(
    at: TopicPartition,
    question: BufferQuestion,
    answered: (answer: BufferAnswer | undefined) => void,
  ): (() => void) | undefined {
    if (performance.now() < restingUntilMs) return undefined;
    let forgotten = false;
    void ask(at, question, () => forgotten).then(answer => {
      if (!forgotten) answered(answer);
    });
    return () => {
      forgotten = true;
    };
  }

  /** Never rejects. */
  async function ask(
    at: TopicPartition,
    question: BufferQuestion,
    forgotten: () => boolean,
  ): Promise<BufferAnswer | undefined> {
    const leave = await readPlaces.take(question.key);
    try {
      if (leave === undefined || forgotten() || performance.now() < restingUntilMs) return undefined;
      const { key, after, topicId } = question;
      const asked = store.read({ ...at, topicId }, { key, after: after.offset });
      const raw = await within(readDeadlineMs, 'a question to Redis', asked);
      const isCut =
        raw !== undefined && !(await question.holds(pointAt(raw.tail, -1, raw.tailEpoch)).catch(() => false));
      const answer = isCut ? undefined : answerOf(at, question, raw);
      metrics.read(answer === undefined ? 'unknown' : 'complete');
      return answer;
    } catch (error) {
      restingUntilMs = performance.now() + restMs;
      metrics.read('failed');
      ops.log.debug(
        { event: 'replay_buffer_read_failed', ...at, reason: messageOf(error) },
        'the replay buffer cannot be read',
      );
      return undefined;
    } finally {
      leave?.();
    }
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

function answerOf(
  at: TopicPartition,
  { key, after, check }: BufferQuestion,
  raw: RawAnswer | undefined,
): BufferAnswer | undefined {
  if (check && raw?.timestampMs !== after.timestampMs) return undefined;
  const sizeBytes = raw?.entries.reduce((sum, { packed }) => sum + packed.length, 0) ?? 0;
  const full = (raw?.entries.length ?? 0) >= pageRecords || sizeBytes >= pageBytes;
  const proof = prove({ after: after.offset }, raw, full);
  if (proof === undefined) return undefined;
  const records = proof.entries.map(({ offset, packed }) => unpackRecord(at, offset, key, packed));
  const { through, done } = proof;
  return { records, through, throughEpoch: through === raw?.tail ? raw.tailEpoch : undefined, done };
}
