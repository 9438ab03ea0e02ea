/** Returns a delay that grows with each attempt from 0 on up to 5 s, by half more or less, so that clients do not come all at once. */
export function backOffMs(attempt: number, firstMs = 50): number {
  return Math.min(5_000, firstMs * 2 ** attempt) * (0.5 + Math.random());
}

export interface Deferred<Value> {
  promise: Promise<Value>;
  resolve(value: Value): void;
}

export function deferred<Value = void>(): Deferred<Value> {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>(settle => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Something that happens once, and that many wait for beside something else. */
export interface Ending<Value> {
  /** Does something with a promise of the end, and lets go of that promise afterwards. */
  during<Result>(act: (ended: Promise<Value>) => Promise<Result>): Promise<Result>;
  /** Once. Whoever asks later hears of it at once. */
  end(value: Value): void;
}

/**
 * Not one promise for all: in `Promise.race` it would keep each promise that it has been raced with, and what that resolved with, for
 * as long as it lives.
 */
export function openEnding<Value = void>(): Ending<Value> {
  const waiting = new Set<(value: Value) => void>();
  let over: { value: Value } | undefined;
  return {
    async during(act) {
      const { promise, resolve } = deferred<Value>();
      if (over) resolve(over.value);
      waiting.add(resolve);
      try {
        return await act(promise);
      } finally {
        waiting.delete(resolve);
      }
    },
    end(value) {
      over = { value };
      for (const resolve of waiting) resolve(value);
    },
  };
}

/** Resolves after this time, or with the promise. */
export async function pause(ms: number, unless: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const slept = new Promise<void>(resolve => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([slept, unless]);
  clearTimeout(timer);
}
