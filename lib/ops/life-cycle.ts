import type { Logger } from './log.ts';

/** Every long-lived thing closes: drains what is under way; a second call does no harm. */
export interface Closable {
  close(): Promise<void>;
}

/** Closes from left to right, each even when the one before failed, all within `timeoutMs`. Returns whether all closed in time. */
export async function drain(parts: readonly Closable[], timeoutMs: number, log: Logger): Promise<boolean> {
  const closing = (async () => {
    for (const part of parts) {
      try {
        await part.close();
      } catch (error) {
        log.error({ event: 'close_failed', error }, 'a part failed to close');
      }
    }
    return true;
  })();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<boolean>(resolve => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  const closed = await Promise.race([closing, timeout]);
  clearTimeout(timer);
  return closed;
}

/** A process that is asked to end before it has come so far as to drain is given this long, ms. */
const startPatienceMs = 1_000;
let asked: Promise<string> | undefined;
let drains = false;

/**
 * To be called before anything is opened: a signal that comes while a process starts ends it with 0, in order where that is
 * possible within a second, and outright where it still waits for something. @returns the first signal, when it comes.
 */
export function heedSignals(): Promise<string> {
  if (asked !== undefined) return asked;
  asked = new Promise(resolve => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => resolve(name));
  });
  void asked.then(() => {
    setTimeout(() => drains || process.exit(0), startPatienceMs).unref();
  });
  return asked;
}

/** Waits for SIGTERM or SIGINT, drains, and ends the process: 0 when everything closed in time, else 1. */
export async function runUntilSignal(
  ops: { log: Logger; drainTimeoutMs: number; onDraining?: () => void },
  parts: readonly Closable[],
): Promise<never> {
  const signal = await heedSignals();
  drains = true;
  ops.log.info({ event: 'drain_started', signal }, 'draining');
  ops.onDraining?.();
  const closed = await drain(parts, ops.drainTimeoutMs, ops.log);
  if (closed) ops.log.info({ event: 'drain_finished' }, 'stopped');
  else ops.log.warn({ event: 'drain_timed_out' }, 'stopped before everything had drained');
  process.exit(closed ? 0 : 1);
}
