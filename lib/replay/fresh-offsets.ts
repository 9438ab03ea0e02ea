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

/** A question that is not answered for so long waits for a broker that may stand still, ms. */
const slowMs = 1_000;

interface Round {
  partitions: Set<number>;
  /** Resolves when the question is on its way. */
  asked: Promise<ReadonlyMap<number, Promise<Bounds | undefined>>>;
}

/**
 * While one request for a topic is under way, the calls that come meanwhile wait for one common request after it: a
 * herd of reconnecting clients costs two, and each still gets an answer that is younger than its question. A partition
 * whose leader does not answer is asked for by itself from then on, so that it holds up no other one.
 */
export function openFreshOffsets(topics: Pick<Topics, 'identity' | 'offsets'>): FreshOffsets {
  /** By line: a topic, or one of its partitions that is asked for by itself. */
  const underWay = new Map<string, Promise<unknown>>();
  const next = new Map<string, Round>();
  const suspects = new Set<string>();
  /** By topic and partition. */
  const last = new Map<string, { atMs: number; bounds: Bounds }>();
  return {
    recent(topic, partition) {
      const known = last.get(nameOf(topic, partition));
      return known !== undefined && known.atMs + recentMs > performance.now() ? known.bounds : undefined;
    },
    async bounds(topic, partitions) {
      const found = await Promise.all(
        partitions.map(async partition => [partition, await join(topic, topic, partition)] as const),
      );
      return new Map(found.filter((entry): entry is readonly [number, Bounds] => entry[1] !== undefined));
    },
  };

  async function join(line: string, topic: string, partition: number): Promise<Bounds | undefined> {
    let round = next.get(line);
    if (round === undefined) next.set(line, (round = begin(line, topic)));
    round.partitions.add(partition);
    return (await round.asked).get(partition);
  }

  function begin(line: string, topic: string): Round {
    const partitions = new Set<number>();
    const alone = line !== topic;
    const asked = (underWay.get(line) ?? Promise.resolve()).then(() => {
      next.delete(line);
      const together = [...partitions].filter(partition => alone || !suspects.has(nameOf(topic, partition)));
      const slow = Promise.withResolvers<void>();
      const common = askWatched(topic, together, slow.resolve);
      const answers = new Map<number, Promise<Bounds | undefined>>();
      for (const partition of partitions) {
        const byItself = () => join(nameOf(topic, partition), topic, partition);
        if (!together.includes(partition)) answers.set(partition, byItself());
        else {
          const answer = common.then(found => found.get(partition));
          answers.set(partition, alone ? answer : Promise.race([answer, slow.promise.then(byItself)]));
        }
      }
      const over = common.then(noValue, noValue);
      underWay.set(line, alone ? over : Promise.race([over, slow.promise]));
      return answers;
    });
    return { partitions, asked };
  }

  /** @param onSlow some of them wait for a broker: which ones, their next questions will tell. */
  async function askWatched(topic: string, wanted: readonly number[], onSlow: () => void) {
    const names = wanted.map(partition => nameOf(topic, partition));
    let slow = false;
    const suspect = () => {
      slow = true;
      for (const name of names) suspects.add(name);
    };
    const timer = setTimeout(() => {
      suspect();
      onSlow();
    }, slowMs);
    try {
      const answer = await ask(topic, wanted);
      for (const name of names) suspects.delete(name);
      return answer;
    } catch (error) {
      // Since it was slow they have been asked for one by one, which says more of each.
      if (!slow) suspect();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async function ask(topic: string, wanted: readonly number[]): Promise<ReadonlyMap<number, Bounds>> {
    if (wanted.length === 0) return new Map();
    const atMs = performance.now();
    const identity = await topics.identity(topic);
    const existing = wanted.filter(partition => partition < (identity?.partitions ?? 0));
    if (identity === undefined || existing.length === 0) return new Map();
    const { topicId } = identity;
    const found = await topics.offsets(topic, existing);
    const answer = new Map([...found].map(([partition, bounds]) => [partition, { ...bounds, topicId }]));
    for (const [partition, bounds] of answer) last.set(nameOf(topic, partition), { atMs, bounds });
    return answer;
  }
}

const noValue = () => undefined;

function nameOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}
