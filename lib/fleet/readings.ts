import type { Registry } from 'prom-client';

/** The numbers of a process, as its metrics have them: nothing is counted twice. */
export interface Readings {
  /** Sum of the series whose labels fit; undefined where there is no such metric. */
  sum(name: string, fits?: LabelFilter): Promise<number | undefined>;
  series(name: string): Promise<readonly Series[]>;
  /** How much the sum has grown a second, since about a second or more ago; undefined where that is not known yet. */
  rate(name: string, fits?: LabelFilter): Promise<number | undefined>;
}

export interface Series {
  labels: Readonly<Record<string, string | number | undefined>>;
  value: number;
}

export type LabelFilter = (labels: Series['labels']) => boolean;

/** A rate over less than this tells more of chance than of the load, ms. */
const leastMs = 900;

/** @param now ms of a clock that never goes back. */
export function openReadings(registry: Registry, now: () => number = () => performance.now()): Readings {
  const before = new Map<string, { sum: number; atMs: number; rate: number | undefined }>();

  async function series(name: string): Promise<readonly Series[]> {
    return (await registry.getSingleMetric(name)?.get())?.values ?? [];
  }

  async function sum(name: string, fits: LabelFilter = () => true): Promise<number | undefined> {
    if (registry.getSingleMetric(name) === undefined) return undefined;
    return (await series(name)).reduce((total, { labels, value }) => total + (fits(labels) ? value : 0), 0);
  }

  return {
    sum,
    series,
    async rate(name, fits) {
      const total = await sum(name, fits);
      if (total === undefined) return undefined;
      const [last, atMs] = [before.get(name), now()];
      if (last !== undefined && atMs - last.atMs < leastMs) return last.rate;
      const rate = last === undefined ? undefined : Math.max(0, ((total - last.sum) * 1_000) / (atMs - last.atMs));
      before.set(name, { sum: total, atMs, rate });
      return rate;
    },
  };
}
