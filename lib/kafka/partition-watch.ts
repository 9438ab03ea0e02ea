import { setTimeout as sleep } from 'node:timers/promises';
import { Gauge, type Registry } from 'prom-client';
import { messageOf } from '../errors.ts';
import type { Closable, Logger, Readiness } from '../ops/index.ts';
import type { Topics } from './types.ts';

/** What a topic has beyond the partitions that a process was started with. */
export interface Unread {
  /** Partitions that the topic has now. */
  count: number;
  /** Partition → records ever appended to it; of those that nobody reads, and only where there are some. */
  records: ReadonlyMap<number, number>;
}

/** The topics that were given partitions while this process runs, by other means than `npm run grow-partitions`. */
export interface UnreadPartitions extends Closable {
  of(topic: string): Unread | undefined;
  /** Called when what {@link of} says has changed. Returns how to end that. */
  onChange(listener: () => void): () => void;
}

export interface PartitionWatchOptions {
  topics: Pick<Topics, 'partitionCount' | 'offsets'>;
  /** Topics that this process reads. */
  names: readonly string[];
  /** Partitions of each that it knows of. */
  partitionCount: number;
  ops: { log: Logger; metrics: Registry; readiness: Pick<Readiness, 'set' | 'warn'> };
  /** Between two looks; each costs one or two metadata requests. Default 5,000. */
  intervalMs?: number;
}

/**
 * Looks whether topics get partitions that nobody reads. While these are empty that is a warning; once they have records it is a
 * reason not to be ready. The process goes on with the partitions that it knows of: to read more, all must be stopped together.
 */
export function watchPartitions(options: PartitionWatchOptions): UnreadPartitions {
  const { topics, names, partitionCount, ops, intervalMs = 5_000 } = options;
  const gauges = gaugesOf(ops.metrics);
  const listeners = new Set<() => void>();
  const stop = new AbortController();
  let unread: ReadonlyMap<string, Unread> = new Map();
  let said = '';
  void watch();

  /** Never rejects. */
  async function watch(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        const found = await look();
        if (stop.signal.aborted) return;
        unread = found;
        tell();
      } catch (error) {
        // That Kafka is away is said elsewhere; what is known of partitions holds meanwhile.
        if (!stop.signal.aborted)
          ops.log.debug(
            { event: 'partition_count_unknown', reason: messageOf(error) },
            'partitions could not be counted',
          );
      }
      await sleep(intervalMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  }

  async function look(): Promise<Map<string, Unread>> {
    const counts = await Promise.all(names.map(async name => [name, await topics.partitionCount(name)] as const));
    const found = new Map<string, Unread>();
    for (const [name, count = 0] of counts) {
      if (count <= partitionCount) continue;
      const beyond = Array.from({ length: count - partitionCount }, (_, index) => partitionCount + index);
      const ends = [...(await topics.offsets(name, beyond))].filter(([, { end }]) => end > 0);
      found.set(name, { count, records: new Map(ends.map(([partition, { end }]) => [partition, end])) });
    }
    return found;
  }

  function tell(): void {
    for (const topic of names) {
      const found = unread.get(topic);
      gauges.partitions.set({ topic }, found === undefined ? 0 : found.count - partitionCount);
      gauges.records.set({ topic }, found === undefined ? 0 : recordsOf(found));
    }
    const text = adviceOf(unread, partitionCount);
    const hasRecords = [...unread.values()].some(({ records }) => records.size > 0);
    ops.readiness.set('topics', hasRecords ? text : undefined);
    ops.readiness.warn('topics', hasRecords ? undefined : text);
    const state = [...unread].map(([topic, { count, records }]) => `${topic} ${count} ${[...records.keys()]}`).join();
    if (state === said) return;
    said = state;
    if (text !== undefined)
      ops.log.error({ event: 'partitions_unread', reason: text }, 'a topic has partitions that nobody reads');
    for (const listener of listeners) listener();
  }

  return {
    of: topic => unread.get(topic),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    /** A look that is under way is not waited for: Kafka may be away. */
    async close() {
      stop.abort();
    },
  };
}

/** Returns what is wrong and what to do; undefined: nothing. */
function adviceOf(unread: ReadonlyMap<string, Unread>, known: number): string | undefined {
  if (unread.size === 0) return undefined;
  const facts = [...unread].map(([topic, found]) => {
    return `topic ${topic} has ${found.count} partitions, of which ${known} are read: ${recordsOf(found)} records lie in the others`;
  });
  const most = [...unread.values()].reduce((found, { count }) => Math.max(found, count), 0);
  return `${facts.join('; ')}. Stop all services, run "npm run grow-partitions -- --partitions ${most}" and start them again (docs/growing-topics.md)`;
}

function recordsOf({ records }: Unread): number {
  return [...records.values()].reduce((sum, count) => sum + count, 0);
}

function gaugesOf(metrics: Registry): { partitions: Gauge<'topic'>; records: Gauge<'topic'> } {
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: ['topic'], registers: [metrics] });
  return {
    partitions: gauge(
      'penstock_kafka_unread_partitions',
      'Partitions that a topic was given by other means: nobody reads them',
    ),
    records: gauge('penstock_kafka_unread_records', 'Records ever appended to partitions that nobody reads'),
  };
}
