import { setTimeout as sleep } from 'node:timers/promises';
import type { Topics } from '../kafka/types.ts';

/**
 * Resolves with the log's end (offset of the next committed record) by partition, asked of the brokers after the call was made;
 * a partition that does not exist is missing. Rejects when Kafka does not answer.
 */
export type LogEnds = (topic: string, partitions: readonly number[]) => Promise<ReadonlyMap<number, number>>;

interface Round {
  partitions: Set<number>;
  answer: Promise<Awaited<ReturnType<Topics['offsets']>>>;
}

/**
 * At most one question per topic in this time, ms: a herd of subscriptions costs the brokers no more. Apart from
 * fresh-offsets.ts, for which streams wait: nobody waits for these but a ping.
 */
const everyMs = 50;

export function openLogEnds(topics: Pick<Topics, 'offsets'>): LogEnds {
  /** By topic: the question that comes next. */
  const next = new Map<string, Round>();
  const askedMs = new Map<string, number>();

  function begin(topic: string): Round {
    const partitions = new Set<number>();
    const ask = async () => {
      const waitMs = (askedMs.get(topic) ?? Number.NEGATIVE_INFINITY) + everyMs - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      else await undefined; // whoever asks in the same turn joins
      next.delete(topic);
      askedMs.set(topic, performance.now());
      return topics.offsets(topic, [...partitions]);
    };
    const round = { partitions, answer: ask() };
    next.set(topic, round);
    return round;
  }

  return async (topic, partitions) => {
    const round = next.get(topic) ?? begin(topic);
    for (const partition of partitions) round.partitions.add(partition);
    const found = await round.answer;
    return new Map(
      [...found].filter(([partition]) => partitions.includes(partition)).map(([at, { end }]) => [at, end]),
    );
  };
}
