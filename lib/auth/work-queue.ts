import type { PenstockError } from '../errors.ts';

export interface WorkQueueOptions {
  /** Pieces of work under way at once. */
  slots: number;
  /** Pieces of work that may wait. */
  maxWaiting: number;
  /** Longest wait for a slot, ms. */
  maxWaitMs: number;
  /** What is thrown when too much waits (`full`), or for too long (`late`), with `extensions.retryAfterSeconds`. */
  busy(why: 'full' | 'late'): PenstockError;
}

/** Runs costly work a few at a time, in order of arrival. */
export interface WorkQueue {
  /** @throws `busy` when too much waits already, or for too long. */
  run<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Pieces of work that wait now. */
  waiting(): number;
  /** Nothing waits, nothing is under way. */
  isIdle(): boolean;
}

export function openWorkQueue({ slots, maxWaiting, maxWaitMs, busy }: WorkQueueOptions): WorkQueue {
  const waiting: Set<() => void> = new Set();
  let free = slots;

  const slot = (): Promise<void> => {
    if (free > 0) {
      free--;
      return Promise.resolve();
    }
    if (waiting.size >= maxWaiting) return Promise.reject(busy('full'));
    return new Promise((resolve, reject) => {
      const take = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        waiting.delete(take);
        reject(busy('late'));
      }, maxWaitMs);
      waiting.add(take);
    });
  };
  const pass = (): void => {
    const next = waiting.values().next();
    if (next.done === true) free++;
    else {
      waiting.delete(next.value);
      next.value();
    }
  };

  return {
    async run(work) {
      await slot();
      try {
        return await work();
      } finally {
        pass();
      }
    },
    waiting: () => waiting.size,
    isIdle: () => free === slots && waiting.size === 0,
  };
}
