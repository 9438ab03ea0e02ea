import type { State, Status } from './types.ts';

/** The client's state, for whoever looks at it and for whoever is told. */
export interface ShownState {
  get(): State;
  show(status: Status, reason?: string, retryAtMs?: number): void;
  listen(listener: (state: State) => void): () => void;
}

export function openState(): ShownState {
  let state: State = { status: 'idle' };
  const listeners = new Set<(state: State) => void>();
  return {
    get: () => state,
    show(status, reason, retryAtMs) {
      const text = JSON.stringify({ status, reason, retryAtMs });
      // After `closed` there is no other.
      if (state.status === 'closed' || JSON.stringify(state) === text) return;
      const shown: State = JSON.parse(text);
      state = shown;
      // What a listener throws is its own matter: the connection goes on.
      for (const listener of listeners) queueMicrotask(() => listener(shown));
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
