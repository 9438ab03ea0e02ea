import { Counter } from 'prom-client';
import { z } from 'zod';
import { messageOf } from '../errors.ts';
import type { KafkaOps } from './connection.ts';
import { OffsetOutOfRangeError, UnreadableBatchError } from './errors.ts';
import type { Lanes, TopicPartition, Topics } from './types.ts';

/** Offsets that an operator has given up, because nobody can read them. */
export interface Skip extends TopicPartition {
  /** Of the topic that they lie in: of another of its name this says nothing. */
  topicId: string;
  from: number;
  /** The offset behind them. */
  to: number;
  reason: string;
}

/** Why offsets can't be skipped: one line that says what to do. */
export class SkipRefusedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SkipRefusedError';
  }
}

/** What an operator has given up, as readers ask for it. */
export interface Skips {
  /** Returns the skip that covers what cannot be read of the topic with this id, as it is recorded now. Counts it, and logs it once. */
  over(error: UnreadableBatchError, topicId: string): Promise<Skip | undefined>;
  close(): void;
}

/**
 * The name of a compacted topic of one partition: key = topic id, partition and first offset, value = a {@link Skip}. It lies
 * beside the topics themselves, so that whoever restores the one restores the other.
 */
const skipsTopic = 'penstock_skips';

const shape = z.object({
  topic: z.string(),
  topicId: z.string(),
  partition: z.number().int().nonnegative(),
  from: z.number().int().nonnegative(),
  to: z.number().int().positive(),
  reason: z.string(),
});

const fetchBytes = 1_048_576;
/** How long what was read of the skips is taken for what is recorded, ms: many may meet one batch at the same time. */
const freshMs = 1_000;

/** @param openTopics called when the first unreadable batch is met; what it opens must not honour skips itself. */
export function openSkips(openTopics: () => Topics & { close(): Promise<void> }, { log, metrics }: KafkaOps): Skips {
  const counter = (name: string, help: string): Counter => {
    const known = metrics.getSingleMetric(name);
    return known instanceof Counter ? known : new Counter({ name, help, labelNames: ['topic'], registers: [metrics] });
  };
  const skipped = counter(
    'penstock_kafka_skipped_batches_total',
    'Unreadable batches that were passed over because an operator has recorded so, each time that one is met',
  );
  const unreadable = counter(
    'penstock_kafka_unreadable_batches_total',
    'Unreadable batches that nobody has had skipped, each time that one is met',
  );
  let topics: ReturnType<typeof openTopics> | undefined;
  let recorded: readonly Skip[] = [];
  const told = new Set<string>();
  let closed = false;
  let last: { atMs: number; skips: Promise<readonly Skip[]> } | undefined;

  /** Never rejects: while they can't be read, what was read of them last counts. */
  async function read(): Promise<readonly Skip[]> {
    try {
      topics ??= openTopics();
      recorded = [...(await readSkips(topics)).values()];
    } catch (error) {
      if (!closed)
        log.warn({ event: 'skips_unreadable', reason: messageOf(error) }, 'what is to be skipped cannot be read');
    }
    return recorded;
  }

  return {
    async over(error, topicId) {
      if (closed) return undefined;
      if (last === undefined || performance.now() - last.atMs > freshMs) {
        last = { atMs: performance.now(), skips: read() };
      }
      const skip = (await last.skips).find(one => isOver(one, error, topicId));
      if (skip === undefined) {
        unreadable.inc({ topic: error.at.topic });
        return undefined;
      }
      const { topic, partition, from, to, reason } = skip;
      skipped.inc({ topic });
      if (told.has(keyOf(skip))) return skip;
      told.add(keyOf(skip));
      log.warn(
        { event: 'offsets_skipped', topic, partition, from, to, reason },
        'offsets that cannot be read are skipped, as an operator has recorded',
      );
      return skip;
    },
    close() {
      closed = true;
      void topics?.close();
    },
  };
}

function isOver(skip: Skip, { at, from, to, isOldFormat }: UnreadableBatchError, topicId: string): boolean {
  if (skip.topicId !== topicId || skip.partition !== at.partition) return false;
  // A reader may meet less of a run of old messages, as much as one fetch brings, and more of them behind the skip.
  return isOldFormat ? skip.from <= from && from < skip.to : skip.from < to && to <= skip.to;
}

/**
 * Has readers pass over the batch that this offset lies in, once they can't read it; they learn of it within seconds. Messages
 * of an old format go with all that follow them directly. @returns what is skipped.
 * @param topics that do not honour skips themselves.
 * @throws SkipRefusedError where there is nothing to skip.
 */
export async function recordSkip(
  parts: { topics: Topics; lanes: Pick<Lanes, 'send'>; replicationFactor: number },
  at: TopicPartition,
  offset: number,
): Promise<Skip> {
  const { topics, lanes, replicationFactor } = parts;
  const { topic, partition } = at;
  const identity = await topics.identity(topic);
  if (identity === undefined || partition >= identity.partitions) {
    throw new SkipRefusedError(`${topic}/${partition} does not exist`);
  }
  const { from, to, reason } = await unreadableAt(topics, at, offset);
  const skip: Skip = { topic, topicId: identity.topicId, partition, from, to, reason };
  const config = { 'cleanup.policy': 'compact' };
  await topics.ensure([{ name: skipsTopic, partitions: 1, replicationFactor, config }]);
  await lanes.send({ topic: skipsTopic, partition: 0 }, { key: keyOf(skip), value: JSON.stringify(skip) });
  return skip;
}

/** Reads at the offset: only what really can't be read may be skipped. */
async function unreadableAt(
  topics: Topics,
  at: TopicPartition,
  offset: number,
): Promise<{ from: number; to: number; reason: string }> {
  const start = await topics.startOffset(at);
  const found = await unreadable(topics, at, Math.max(start, offset));
  const name = `${at.topic}/${at.partition}`;
  if (found === undefined || offset < Math.min(start, found.from) || offset >= found.to) {
    throw new SkipRefusedError(`offset ${offset} of ${name} can be read, or is not in the log: nothing is skipped`);
  }
  let { to } = found;
  for (let next = found; next.isOldFormat; ) {
    const more = await unreadable(topics, at, to);
    if (more === undefined || !more.isOldFormat) break;
    to = more.to;
    next = more;
  }
  return { from: found.from, to, reason: found.reason };
}

async function unreadable(
  topics: Topics,
  at: TopicPartition,
  offset: number,
): Promise<UnreadableBatchError | undefined> {
  try {
    await topics.fetch(at, offset, fetchBytes);
    return undefined;
  } catch (error) {
    if (error instanceof UnreadableBatchError) return error;
    if (error instanceof OffsetOutOfRangeError) return undefined;
    throw error;
  }
}

/** By their keys. */
async function readSkips(topics: Topics): Promise<Map<string, Skip>> {
  const found = new Map<string, Skip>();
  if ((await topics.identity(skipsTopic)) === undefined) return found;
  const at = { topic: skipsTopic, partition: 0 };
  const end = await topics.endOffset(at);
  for (let offset = await topics.startOffset(at); offset < end; ) {
    const { records, nextOffset } = await topics.fetch(at, offset, fetchBytes);
    for (const { key, value } of records) {
      if (key === null) continue;
      if (value === null) found.delete(key.toString());
      else found.set(key.toString(), shape.parse(JSON.parse(value.toString())));
    }
    if (nextOffset <= offset) break;
    offset = nextOffset;
  }
  return found;
}

function keyOf({ topicId, partition, from }: Skip): string {
  return `${topicId}/${partition}/${from}`;
}
