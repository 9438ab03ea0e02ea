import { setTimeout as sleep } from 'node:timers/promises';
import { PenstockError } from '../errors.ts';
import { openFairQueue } from './fair-queue.ts';

/** The promise's value, or UNAVAILABLE when it takes longer than `timeoutMs`; `what` says what was awaited. */
export async function within<T>(timeoutMs: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new PenstockError('UNAVAILABLE', `${what} took longer than ${timeoutMs} ms`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits 50 ms, then twice as long each time, up to 1 s; returns early, without an error, once aborted. */
export function openBackOff(signal: AbortSignal): { wait(): Promise<void>; reset(): void } {
  let delayMs = 50;
  return {
    async wait() {
      const now = delayMs;
      delayMs = Math.min(delayMs * 2, 1_000);
      await sleep(now * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
    },
    reset() {
      delayMs = 50;
    },
  };
}

export interface Places {
  /**
   * Resolves, when a place is free, with what gives it back. Owners take turns: one who wants many places does not keep
   * the others from theirs. Undefined, at once, when too many wait already.
   */
  take(owner: string): Promise<() => void> | undefined;
}

/** At most `places` at once; of those who come later, at most `maxWaiting` wait. */
export function openPlaces(places: number, maxWaiting: number): Places {
  let free = places;
  const waiting = openFairQueue<() => void>();
  return {
    take(owner) {
      if (free > 0) {
        free -= 1;
        return Promise.resolve(place());
      }
      if (waiting.size >= maxWaiting) return undefined;
      return new Promise(resolve => waiting.push(owner, () => resolve(place())));
    },
  };

  function place(): () => void {
    let given = false;
    return () => {
      if (given) return;
      given = true;
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    };
  }
}
