import type { Clock } from './clock.ts';

export interface Arrival {
  /** An assignment of the group is applied. */
  assigned(): void;
  /** A partition was claimed from another gateway. */
  tookOver(): void;
  /** A tenure has changed. */
  look(): void;
  /** Out of the group: the next assignment is an arrival again. */
  left(): void;
  close(): void;
}

export interface ArrivalParts {
  isClaiming(): boolean;
  /** Within this time, ms, old owners send their clients on. */
  windowMs: number;
  clock: Clock;
  /** Why it is not there yet; undefined when it is. */
  tell(reason: string | undefined): void;
}

/**
 * When a gateway that has joined is ready: what the group gave it is claimed, and the clients of who had it before had
 * their time to come. So a rolling restart, which waits for readiness, does not stop a gateway while the clients of another
 * are on their way. Later assignments don't count: a gateway that serves is ready while it takes over more.
 */
export function openArrival({ isClaiming, windowMs, clock, tell }: ArrivalParts): Arrival {
  let state: 'away' | 'claiming' | 'receiving' | 'there' = 'away';
  let receives = false;
  let cancel = () => {};
  function finish(): void {
    state = 'there';
    tell(undefined);
  }
  function look(): void {
    if (state !== 'claiming' || isClaiming()) return;
    if (receives) {
      state = 'receiving';
      tell('the clients of its partitions are on their way to it');
      cancel = clock.after(windowMs, finish);
    } else finish();
  }
  return {
    assigned() {
      if (state !== 'away') return;
      state = 'claiming';
      receives = false;
      tell('claims its partitions');
      look();
    },
    tookOver() {
      receives = true;
    },
    look,
    left() {
      cancel();
      state = 'away';
    },
    close: () => cancel(),
  };
}
