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

/** Resolves after this time, or with the promise. */
export async function pause(ms: number, unless: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const slept = new Promise<void>(resolve => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([slept, unless]);
  clearTimeout(timer);
}
