import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { until } from '../../support/until.ts';
import { openAppends } from './appends.ts';
import { untruths } from './audit.ts';
import { watchEvictions } from './evictions.ts';
import type { LogBuilder } from './log.ts';
import { monitor } from './monitor.ts';
import { readWindows } from './windows.ts';
import { openWriteJudge, type WriteCounts, type WriteFault } from './writes.ts';

/** What the run saw of the replay buffer in Redis. */
export interface BufferVerdict {
  /** Scripts that did what they must not, appends that were not all of their stretch, and what windows say that is not so. */
  faults: number;
  /** The first of them, for people. */
  named: readonly string[];
  counts: Readonly<WriteCounts> & { windows: number; entries: number };
}

export interface BufferWatch {
  /** To be called when nothing is written to the log any more. @param logs by topic: those whose windows are compared. */
  end(logs: ReadonlyMap<string, LogBuilder>): Promise<BufferVerdict>;
}

const mostNamed = 50;

/** Watches who writes the replay buffer, from when it resolves; at the end, compares what it says with the log. */
export async function watchBuffer(url: string): Promise<BufferWatch> {
  const startMs = Date.now();
  const suspected: WriteFault[] = [];
  const appends = openAppends();
  const judge = openWriteJudge(fault => suspected.push(fault), appends.add);
  const marker = randomUUID();
  let caughtUp = false;
  let stop = () => {};
  await new Promise<void>(resolve => {
    stop = monitor(url, {
      begun: resolve,
      missed: judge.forget,
      command(command) {
        judge.command(command);
        caughtUp ||= command.args[1] === marker;
      },
    });
  });
  const evictions = await watchEvictions(url);
  return {
    async end(logs) {
      const windows = await withRedis(url, async redis => {
        await until('MONITOR to show everything', async () => {
          await redis.echo(marker);
          return caughtUp;
        });
        return readWindows(redis, logs.keys());
      });
      stop();
      const evicted = await evictions.stop();
      // What Redis has evicted shuts nobody out.
      const faults = suspected.filter(
        ({ sinceMs, atMs }) => !evicted.some(({ fromMs, toMs }) => toMs >= sinceMs && fromMs <= atMs),
      );
      const lies = windows.flatMap(window => {
        const log = logs.get(window.topic);
        return log === undefined ? [] : untruths(window, log.partition(window.partition));
      });
      const untrue = appends.untruths(logs);
      const told = faults.map(
        ({ window, what, atMs }) => `${((atMs - startMs) / 1_000).toFixed(3)} s ${window}: ${what}`,
      );
      const entries = windows.flatMap(({ keys }) => keys).reduce((sum, key) => sum + key.entries.length, 0);
      return {
        faults: faults.length + untrue.length + lies.length,
        named: [told, untrue, lies].flatMap(some => some.slice(0, mostNamed)),
        counts: { ...judge.counts, windows: windows.length, entries },
      };
    },
  };
}

async function withRedis<T>(url: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url);
  redis.on('error', () => undefined); // the commands fail too
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}
