/** What came of the events of one user so far. */
export interface Counts {
  delivered: number;
  /** Events of the view that have not arrived, though later ones have. */
  lost: number;
  /** Arrivals of events that had arrived before. */
  twice: number;
}

/** Compares what arrives with what the view has: the one comes through the gateway, the other from the tables of the projector. */
export interface Comparison {
  /** An event has arrived. */
  arrived(id: string): void;
  /**
   * What the view has of the events since the beginning, the newest first. Whatever arrives late is not lost any more.
   * @param nowMs of any clock that does not go back.
   */
  compare(view: readonly string[], nowMs: number): void;
  /** Whether the view was found to have everything up to this event, and all of it has arrived: nothing before it need be compared again. */
  isSettled(id: string): boolean;
  counts(): Counts;
}

/** An event that is the newest of all may still be on its way; after this time it is lost, ms. */
const longestWayMs = 15_000;
/** Events that are not settled, at most: one that comes again after so many others is not known any more. */
const keptIds = 5_000;
/**
 * Events before the settled one, at most. They are needed no more to find what is lost, and what is repeated is repeated up to the
 * newest: a page that stays open for long need not keep them.
 */
const keptSettled = 100;

export function openComparison(): Comparison {
  const arrivals = new Set<string>();
  /** Since when the view has them and they have not arrived. */
  const missing = new Map<string, number>();
  const lost = new Set<string>();
  let settled: string | undefined;
  let delivered = 0;
  let twice = 0;

  /** In the order of their arrival, which is that of the log. */
  function forgetSettled(): void {
    let before = 0;
    for (const id of arrivals) {
      if (id === settled) break;
      before++;
    }
    for (const id of arrivals) {
      if (before-- <= keptSettled) break;
      arrivals.delete(id);
    }
  }

  return {
    arrived(id) {
      delivered++;
      if (arrivals.has(id)) twice++;
      arrivals.add(id);
      missing.delete(id);
      lost.delete(id);
      const [oldest] = arrivals;
      if (arrivals.size > keptIds && oldest !== undefined) arrivals.delete(oldest);
    },
    compare(view, nowMs) {
      let isLaterThere = false;
      let areOlderThere = true;
      let newestSettled: string | undefined;
      for (const id of view) {
        if (arrivals.has(id)) {
          isLaterThere = true;
          newestSettled ??= id;
          continue;
        }
        areOlderThere = false;
        const sinceMs = missing.get(id) ?? nowMs;
        missing.set(id, sinceMs);
        // Events come in order: one that was passed does not come any more.
        if (isLaterThere || nowMs - sinceMs > longestWayMs) lost.add(id);
      }
      if (!areOlderThere || newestSettled === undefined) return;
      settled = newestSettled;
      forgetSettled();
    },
    isSettled: id => id === settled,
    counts: () => ({ delivered, lost: lost.size, twice }),
  };
}
