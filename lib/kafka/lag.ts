import { Gauge, type Registry } from 'prom-client';

interface Lagging {
  topic: string;
  position: number;
  endOffset: number;
  highWatermark: number;
  held: { sinceMs: number } | undefined;
  /** Timestamp of the oldest record that is not worked off, ms since the epoch; undefined where there is none. */
  oldestMs(): number | undefined;
}

type Source = () => Iterable<Lagging>;

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
