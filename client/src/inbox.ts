/** Keeps values for one consumer, who takes them by an async iterator. */
export interface Inbox<Value> {
  push(value: Value): void;
  /** No more comes; what waits is still handed out, and the error, where there is one, after it. */
  end(error?: Error): void;
  /** The number of values that wait. */
  size(): number;
  last(): Value | undefined;
  next(): Promise<IteratorResult<Value, undefined>>;
  /** Drops what waits. */
  clear(): void;
}

/** `taken` is called before a value is handed out. */
export function openInbox<Value>(taken: (value: Value) => void): Inbox<Value> {
  const values: Value[] = [];
  const askers: { resolve(result: IteratorResult<Value, undefined>): void; reject(error: Error): void }[] = [];
  const done = { done: true, value: undefined } as const;
  let ended: { error?: Error | undefined } | undefined;

  function serve(): void {
    for (;;) {
      const [asker] = askers;
      if (asker === undefined) return;
      if (values.length > 0) {
        const value = values.shift() as Value;
        taken(value);
        asker.resolve({ done: false, value });
      } else if (ended?.error) {
        asker.reject(ended.error);
        ended = {};
      } else if (ended) asker.resolve(done);
      else return;
      askers.shift();
    }
  }

  return {
    push(value) {
      values.push(value);
      serve();
    },
    end(error) {
      ended ??= { error };
      serve();
    },
    size: () => values.length,
    last: () => values.at(-1),
    next() {
      return new Promise((resolve, reject) => {
        askers.push({ resolve, reject });
        serve();
      });
    },
    clear() {
      values.length = 0;
    },
  };
}
