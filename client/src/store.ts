/** A value that changes, in the form in which frameworks of user interfaces take one: `useSyncExternalStore` of React, for one. */
export interface Store<Value> {
  /** Calls the listener after each change, until the returned function is called. The first listener begins, the last one ends it. */
  subscribe(listener: () => void): () => void;
  /** The same object until the next change. */
  getSnapshot(): Value;
}

export interface IterationState<Value> {
  /** Undefined before the first item. */
  readonly value: Value | undefined;
  readonly error: unknown;
  readonly isOver: boolean;
}

/**
 * Iterates while anybody listens, and folds what comes into a value. Items that are there at once make one change.
 * @param begin returns the iteration; it is called again for whoever listens after the last one has left.
 */
export function createStore<Item, Value>(
  begin: () => AsyncIterableIterator<Item>,
  fold: (value: Value | undefined, item: Item) => Value,
): Store<IterationState<Value>> {
  const nothing: IterationState<Value> = { value: undefined, error: undefined, isOver: false };
  const listeners = new Set<() => void>();
  let state = nothing;
  let iteration: AsyncIterableIterator<Item> | undefined;

  function show(next: IterationState<Value>): void {
    state = next;
    for (const listener of listeners) listener();
  }

  async function run(items: AsyncIterableIterator<Item>): Promise<void> {
    try {
      for await (const item of items) {
        if (items !== iteration) return;
        show({ ...state, value: fold(state.value, item) });
      }
      if (items === iteration) show({ ...state, isOver: true });
    } catch (error) {
      if (items === iteration) show({ ...state, error, isOver: true });
    }
  }

  return {
    getSnapshot: () => state,
    subscribe(listener) {
      listeners.add(listener);
      if (!iteration) {
        iteration = begin();
        void run(iteration);
      }
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        const left = iteration;
        iteration = undefined;
        state = nothing;
        void left?.return?.();
      };
    },
  };
}
