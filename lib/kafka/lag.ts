import { Gauge, type Registry } from 'prom-client';

interface Lagging {
  topic: string;
  partition: number;
  position: number;
  endOffset: number;
  highWatermark: number;
  held: { sinceMs: number } | undefined;
  /** Whether {@link endOffset} is what a broker said last. */
  isEndKnown: boolean;
  /** Timestamp of the oldest record that is not worked off, ms since the epoch; undefined where there is none. */
  oldestMs(): number | undefined;
}

type Source = () => Iterable<Lagging>;

/** How far a process is behind in one partition that it reads. */
export interface PartitionLag {
  topic: string;
  partition: number;
  /** Undefined where it is not known. */
  records: number | undefined;
  /** Age of the oldest record that is not worked off, s; 0: there is none; undefined where it is not known. */
  seconds: number | undefined;
}

/** Returns what the registry's gauges of lag are made of: a reading for each partition that this process reads. */
export function lagsOf(metrics: Registry): PartitionLag[] {
  return [...(sources.get(metrics) ?? [])].flatMap(source =>
    [...source()].map(one => {
      const { topic, partition, position, endOffset } = one;
      if (!one.isEndKnown) return { topic, partition, records: undefined, seconds: undefined };
      const records = Math.max(0, endOffset - position);
      const oldestMs = one.oldestMs();
      if (oldestMs !== undefined) return { topic, partition, records, seconds: (Date.now() - oldestMs) / 1_000 };
      return { topic, partition, records, seconds: records === 0 ? 0 : undefined };
    }),
  );
}

const sources = new WeakMap<Registry, Set<Source>>();

/**
 * Adds a reader to the registry's gauges of lag and of open transactions, each with the label `topic`. Returns how to take it
 * out again.
 */
export function reportLag(metrics: Registry, source: Source): () => void {
  const known = sources.get(metrics);
  const all = known ?? new Set<Source>();
  if (known === undefined) {
    sources.set(metrics, all);
    /** `fold` takes each partition into the topic's value, which begins at 0. */
    const gauge = (name: string, help: string, fold: (value: number, one: Lagging) => number) =>
      new Gauge({
        name,
        help,
        labelNames: ['topic'],
        registers: [metrics],
        collect() {
          const values = new Map<string, number>();
          for (const one of all) {
            for (const reading of one()) values.set(reading.topic, fold(values.get(reading.topic) ?? 0, reading));
          }
          this.reset();
          for (const [topic, value] of values) this.set({ topic }, value);
        },
      });
    gauge(
      'penstock_consumer_lag_records',
      'Last stable offset (the end of the committed records) less position, summed over the partitions that this process reads',
      (sum, { endOffset, position }) => sum + Math.max(0, endOffset - position),
    );
    gauge(
      'penstock_consumer_lag_seconds',
      'Age, by its timestamp, of the oldest record that is committed and not worked off here: the partition that is furthest behind',
      (longest, one) => Math.max(longest, (Date.now() - (one.oldestMs() ?? Number.POSITIVE_INFINITY)) / 1_000),
    );
    gauge(
      'penstock_kafka_open_transaction_records',
      'High watermark less last stable offset, summed over the partitions that this process reads: records that wait for the end of a transaction',
      (sum, { endOffset, highWatermark }) => sum + Math.max(0, highWatermark - endOffset),
    );
    gauge(
      'penstock_kafka_open_transaction_seconds',
      "Longest time for which an open transaction has kept a partition's last stable offset where it is",
      (longest, { held }) => Math.max(longest, held === undefined ? 0 : (performance.now() - held.sinceMs) / 1_000),
    );
  }
  all.add(source);
  return () => all.delete(source);
}
