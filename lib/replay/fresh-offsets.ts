import type { Topics } from '../kafka/types.ts';

export interface Bounds {
  /** First offset still in the log. */
  start: number;
  /** Offset of the next record to be written. */
  end: number;
  /** Of the topic that had the name just before: `start` and `end` are its own, or those of a later one. */
  topicId: string;
}

export interface FreshOffsets {
  /**
   * Asked of the brokers after this call was made: what a cursor is refused by must not be old. A partition that does
   * not exist is missing in the answer. Rejects when Kafka does not answer.
   */
  bounds(topic: string, partitions: readonly number[]): Promise<ReadonlyMap<number, Bounds>>;
  /** What was answered within the last second, if anything was: enough to let somebody begin, not to refuse him. */
  recent(topic: string, partition: number): Bounds | undefined;
}

const recentMs = 1_000;

interface Round {
  partitions: Set<number>;
  answer: Promise<ReadonlyMap<number, Bounds>>;
}

/**
 * While one request for a topic is under way, the calls that come meanwhile wait for one common request after it: a
 * herd of reconnecting clients costs two, and each still gets an answer that is younger than its question.
 */
export function openFreshOffsets(topics: Topics): FreshOffsets {
  const underWay = new Map<string, Promise<unknown>>();
  const next = new Map<string, Round>();
  /** By topic and partition. */
  const last = new Map<string, { atMs: number; bounds: Bounds }>();
  return {
    recent(topic, partition) {
      const known = last.get(`${topic}/${partition}`);
      return known !== undefined && known.atMs + recentMs > performance.now() ? known.bounds : undefined;
    },
    async bounds(topic, partitions) {
      let round = next.get(topic);
      if (round === undefined) {
        const wanted = new Set<number>();
        const before = underWay.get(topic) ?? Promise.resolve();
        const answer = before.then(() => {
          next.delete(topic);
          const asked = ask(topic, [...wanted]);
          const settled = asked.then(
            () => undefined,
            () => undefined,
          );
          underWay.set(topic, settled);
          return asked;
        });
        round = { partitions: wanted, answer };
        next.set(topic, round);
      }
      for (const partition of partitions) round.partitions.add(partition);
      return round.answer;
    },
  };

  async function ask(topic: string, wanted: number[]): Promise<ReadonlyMap<number, Bounds>> {
    const atMs = performance.now();
    const identity = await topics.identity(topic);
    const existing = wanted.filter(partition => partition < (identity?.partitions ?? 0));
    if (identity === undefined || existing.length === 0) return new Map();
    const { topicId } = identity;
    const found = await topics.offsets(topic, existing);
    const answer = new Map([...found].map(([partition, bounds]) => [partition, { ...bounds, topicId }]));
    for (const [partition, bounds] of answer) last.set(`${topic}/${partition}`, { atMs, bounds });
    return answer;
  }
}
