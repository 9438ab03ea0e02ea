import { Gauge, type Registry } from 'prom-client';

interface Lagging {
  topic: string;
  position: number;
  endOffset: number;
}

type Source = () => Iterable<Lagging>;

const sources = new WeakMap<Registry, Set<Source>>();

/** Adds a reader to the registry's one gauge `penstock_consumer_lag_records{topic}`. Returns how to take it out again. */
export function reportLag(metrics: Registry, source: Source): () => void {
  const known = sources.get(metrics);
  const all = known ?? new Set<Source>();
  if (known === undefined) {
    sources.set(metrics, all);
    new Gauge({
      name: 'penstock_consumer_lag_records',
      help: 'Last stable offset (the end of the committed records) less position, summed over the partitions that this process reads',
      labelNames: ['topic'],
      registers: [metrics],
      collect() {
        const lags = new Map<string, number>();
        for (const one of all) {
          for (const { topic, position, endOffset } of one()) {
            lags.set(topic, (lags.get(topic) ?? 0) + Math.max(0, endOffset - position));
          }
        }
        this.reset();
        for (const [topic, lag] of lags) this.set({ topic }, lag);
      },
    });
  }
  all.add(source);
  return () => all.delete(source);
}
