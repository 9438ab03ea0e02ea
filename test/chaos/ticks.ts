import { partitionOf } from '../../lib/kafka/index.ts';
import type { Random } from '../proof/random.ts';
import { testKafka } from '../support/dump.ts';

export interface TicksOptions {
  kafka: readonly string[];
  keys: readonly string[];
  partitions: number;
  perSecond: number;
  random: Random;
}

/** A writer of records that nobody commanded. */
export interface Ticks {
  /** Handed to Kafka so far. */
  made(): number;
  stop(): Promise<void>;
}

interface Waiting {
  key: string;
  value: string;
  headers: { ce_keysequence: string };
  partition: number;
}

const everyMs = 40;
/** While so many wait for a broker, no more are made. */
const mostWaiting = 20_000;
const batchRecords = 200;

/**
 * Writes ticks at random keys. One in a hundred repeats its key's last sequence, as a handler does that crashed between
 * publishing and forgetting: an OWN stream must not show it. A partition has one request under way, which is repeated until a
 * broker has it; so the keys of one whose leader has died wait, and no others. What kafkajs then writes twice or not at all
 * does not matter: the truth is read from the topic afterwards.
 */
export async function startTicks({ kafka, keys, partitions, perSecond, random }: TicksOptions): Promise<Ticks> {
  const producer = testKafka(kafka).producer({ retry: { retries: 2 }, allowAutoTopicCreation: false });
  await producer.connect();
  const sequences = new Map<string, number>();
  const waiting = Array.from({ length: partitions }, (): Waiting[] => []);
  const busy = new Set<Promise<void>>();
  const busyWith = new Set<number>();
  const startMs = performance.now();
  let n = 0;
  let skipped = 0;
  let left = 0;
  let ending = false;

  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startMs) * perSecond) / 1_000) - skipped - n;
    if (left > mostWaiting) skipped += due;
    else for (let count = 0; count < due; count++) make();
    for (const [partition, records] of waiting.entries()) if (records.length > 0) send(partition);
  }, everyMs);

  return {
    made: () => n,
    async stop() {
      clearInterval(timer);
      ending = true;
      await Promise.all(busy);
      await producer.disconnect();
    },
  };

  function make(): void {
    const key = random.pick(keys);
    const partition = partitionOf(key, partitions);
    const last = sequences.get(key) ?? 0;
    const sequence = last > 0 && random.next() < 0.01 ? last : last + 1;
    sequences.set(key, sequence);
    waiting[partition]?.push({
      key,
      partition,
      value: JSON.stringify({ n: n++ }),
      headers: { ce_keysequence: String(sequence) },
    });
    left++;
  }

  function send(partition: number): void {
    if (busyWith.has(partition)) return;
    busyWith.add(partition);
    const sending = drain(partition).finally(() => {
      busy.delete(sending);
      busyWith.delete(partition);
    });
    busy.add(sending);
  }

  /** At the end, what no broker has taken by then is left out. */
  async function drain(partition: number): Promise<void> {
    const records = waiting[partition] ?? [];
    const messages = records.splice(0, batchRecords);
    for (;;) {
      try {
        await producer.send({ topic: 'ticks', messages, acks: -1, timeout: 5_000 });
        break;
      } catch {
        if (ending) break;
        await new Promise(resolve => setTimeout(resolve, 100));
      }
    }
    left -= messages.length;
  }
}
