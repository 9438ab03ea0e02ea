import { hostname } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { z } from 'zod';
import packageJson from '../../package.json' with { type: 'json' };
import type { Readiness } from '../ops/index.ts';

/** `GONE`: the process has ended, or nothing has been heard of it for long. */
export type Status = 'READY' | 'NOT_READY' | 'DRAINING' | 'GONE';

/** What every process tells of itself. No user data: no keys, names or payloads of users. */
export interface InstanceState {
  instance: string;
  service: string;
  version: string;
  /** ISO time. */
  startedAt: string;
  status: Status;
  /** What keeps it from being ready, and what an operator should know although it is. */
  reasons: readonly { part: string; reason: string }[];
  /** The next state follows within about this time, ms. */
  intervalMs: number;
  memoryBytes: number;
  heapBytes: number;
  /** Processors used, since about a second ago; null where that is not known yet. */
  cpu: number | null;
}

/** As much of a published state as whoever cleans up needs. */
export const publishedState = z.looseObject({
  instance: z.string(),
  service: z.string(),
  intervalMs: z.number(),
  status: z.string(),
});

/** Longest text of a reason, characters, and most reasons. */
const longestReason = 300;
const mostReasons = 20;

/** A process is taken for gone when it has been silent for so many of its intervals, and for this time, ms. */
const silentIntervals = 10;
const leastSilenceMs = 15_000;

/** Returns how long a process may be silent before it counts as gone, ms. */
export function silenceMs(intervalMs: number): number {
  return Math.max(leastSilenceMs, silentIntervals * intervalMs);
}

/** The name of this process: the one given, else the host's (a Pod's name), with the process id where several may share it. */
export function instanceName(given: string | undefined): string {
  return given ?? (process.pid === 1 ? hostname() : `${hostname()}-${process.pid}`);
}

/** Tells the state of this process, each time anew. */
export function openSelf(
  service: string,
  instance: string,
  readiness: Readiness,
  rate: () => Promise<number | undefined>,
) {
  const startedAt = new Date(Date.now() - process.uptime() * 1_000).toISOString();
  return async (intervalMs: number): Promise<InstanceState> => {
    const reasons = readiness.reasons();
    return {
      ...{ instance, service, version: packageJson.version, startedAt, intervalMs },
      status: statusOf(reasons),
      reasons: [...Object.entries(reasons), ...Object.entries(readiness.warnings())]
        .slice(0, mostReasons)
        .map(([part, reason]) => ({ part, reason: reason.slice(0, longestReason) })),
      memoryBytes: process.memoryUsage.rss(),
      heapBytes: getHeapStatistics().used_heap_size,
      cpu: rounded(await rate()),
    };
  };
}

function statusOf(reasons: Readonly<Record<string, string>>): Status {
  if (reasons.drain !== undefined) return 'DRAINING';
  return Object.keys(reasons).length === 0 ? 'READY' : 'NOT_READY';
}

/** For numbers that nobody reads to the last digit; null is what JSON has for not known. */
export function rounded(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : Math.round(value * 1_000) / 1_000;
}
