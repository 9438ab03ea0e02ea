import type { LogFields, Logger } from '../../lib/ops/index.ts';

/** Warns at most once in ten seconds for each `about`, with the number of lines that were left out. */
export type RareLog = (about: string, line: LogFields<'warn'>, message: string) => void;

const intervalMs = 10_000;

export function openRareLog(log: Logger, now: () => number = Date.now): RareLog {
  const last = new Map<string, { atMs: number; leftOut: number }>();
  return (about, line, message) => {
    const known = last.get(about);
    if (known && now() - known.atMs < intervalMs) {
      known.leftOut++;
      return;
    }
    last.set(about, { atMs: now(), leftOut: 0 });
    log.warn({ ...line, leftOut: known?.leftOut ?? 0 }, message);
  };
}
