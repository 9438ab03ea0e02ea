import { z } from 'zod';
import type { Lanes, Topics } from './types.ts';

/** One growth of a topic: where its partitions of before ended then. */
export interface Growth {
  from: number;
  to: number;
  /** Of the topic that has grown: of another of its name this says nothing. */
  topicId: string;
  /** By partition, `from` of them: the offset behind the last record of before. */
  ends: readonly number[];
}

/** topic → its growths, the oldest first, without a gap: each begins at the count that the one before has led to. */
export type Growths = ReadonlyMap<string, readonly Growth[]>;

/**
 * A compacted topic of one partition: key = a topic's name, value = all of its growths. Beside the topics themselves, so that
 * whoever restores the one restores the other.
 */
const growthsTopic = 'penstock_growths';

const shape = z.array(
  z.object({
    from: z.number().int().positive(),
    to: z.number().int().positive(),
    topicId: z.string(),
    ends: z.array(z.number().int().nonnegative()),
  }),
);

const fetchBytes = 1_048_576;

/** What is recorded of these topics as they are now: of the same id, and up to the count that each has. */
export async function readGrowths(topics: Topics, names: readonly string[]): Promise<Growths> {
  const recorded = await readAll(topics);
  const growths = new Map<string, readonly Growth[]>();
  for (const name of names) {
    const identity = await topics.identity(name);
    const found = recorded
      .get(name)
      ?.filter(({ topicId, to }) => topicId === identity?.topicId && to <= identity.partitions);
    if (found !== undefined && found.length > 0) growths.set(name, found);
  }
  return growths;
}

/** Adds a growth to what is recorded; one from the same count that never came about is replaced. */
export async function recordGrowth(
  parts: { topics: Topics; lanes: Pick<Lanes, 'send'>; replicationFactor: number },
  topic: string,
  growth: Growth,
): Promise<void> {
  const { topics, lanes, replicationFactor } = parts;
  const config = { 'cleanup.policy': 'compact' };
  await topics.ensure([{ name: growthsTopic, partitions: 1, replicationFactor, config }]);
  const before = (await readAll(topics)).get(topic) ?? [];
  const kept = before.filter(({ topicId, to }) => topicId === growth.topicId && to <= growth.from);
  const value = JSON.stringify([...kept, growth]);
  await lanes.send({ topic: growthsTopic, partition: 0 }, { key: topic, value });
}

async function readAll(topics: Topics): Promise<Map<string, Growth[]>> {
  const found = new Map<string, Growth[]>();
  if ((await topics.identity(growthsTopic)) === undefined) return found;
  const at = { topic: growthsTopic, partition: 0 };
  const end = await topics.endOffset(at);
  for (let offset = await topics.startOffset(at); offset < end; ) {
    const { records, nextOffset } = await topics.fetch(at, offset, fetchBytes);
    for (const { key, value } of records) {
      if (key === null) continue;
      if (value === null) found.delete(key.toString());
      else found.set(key.toString(), shape.parse(JSON.parse(value.toString())));
    }
    offset = nextOffset;
  }
  return found;
}
