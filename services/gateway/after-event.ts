/** Waits for a client's next event. */
export interface AfterEvent {
  /** An event is written. */
  delivered(): void;
  /** Runs it once: when the tick of the next event is over, so behind all that leaves with it, or after `withinMs`. */
  run(withinMs: number, action: () => void): void;
}

export function openAfterEvent(): AfterEvent {
  const waiting = new Set<() => void>();
  return {
    delivered() {
      if (waiting.size === 0) return;
      for (const go of waiting) setImmediate(go);
      waiting.clear();
    },
    run(withinMs, action) {
      const go = () => {
        waiting.delete(go);
        clearTimeout(timer);
        action();
      };
      const timer = setTimeout(() => waiting.has(go) && go(), withinMs);
      waiting.add(go);
    },
  };
}
