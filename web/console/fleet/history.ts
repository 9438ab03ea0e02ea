import type { FleetView, Trend } from './types.ts';

/** One look at the totals. */
export interface Sample {
  atMs: number;
  deliveredPerSecond: number | null;
  lagRecords: number | null;
}

/** What was seen in the last minutes, in this page. */
export interface History {
  samples: readonly Sample[];
  /** By partition, its lag at each of the newest samples. */
  lags: ReadonlyMap<number, readonly (number | null)[]>;
}

/** Three minutes, at a sample a second. */
const keptSamples = 180;
/** A trend compares the mean of the newest samples with that of as many before them. */
const trendSamples = 5;

export const noHistory: History = { samples: [], lags: new Map() };

export function withSample({ samples, lags }: History, { totals, partitions }: FleetView, atMs: number): History {
  const { deliveredPerSecond, lagRecords } = totals;
  const kept = (number: number) => (lags.get(number) ?? []).slice(1 - 2 * trendSamples);
  return {
    samples: [...samples.slice(1 - keptSamples), { atMs, deliveredPerSecond, lagRecords }],
    lags: new Map(partitions.map(({ number, lagRecords }) => [number, [...kept(number), lagRecords]])),
  };
}

export function trendOf(lags: readonly (number | null)[] = []): Trend {
  const newer = mean(lags.slice(-trendSamples));
  const older = mean(lags.slice(-2 * trendSamples, -trendSamples));
  if (newer === undefined || older === undefined) return 'unknown';
  if (Math.abs(newer - older) < 1) return 'steady';
  return newer > older ? 'rising' : 'falling';
}

function mean(values: readonly (number | null)[]): number | undefined {
  const known = values.filter(value => value !== null);
  if (known.length === 0 || known.length < values.length) return undefined;
  return known.reduce((total, value) => total + value, 0) / known.length;
}
