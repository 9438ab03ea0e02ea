import { type FairQueue, openFairQueue } from '../../../lib/replay/index.ts';

/**
 * Takes turns between users whose streams have a lot to deliver, and lets everything else in between: heartbeats of the control
 * group above all, pings, other clients' messages. Without it a few hundred clients that replay at once hold the event
 * loop for longer than a session time-out.
 */
export interface Pace {
  /**
   * Asked before each record. Undefined: go on; else the stream's next turn.
   * @param inRow records that the stream has had in this turn.
   * @param user whose stream it is: one with many streams has no more turns than one with few.
   */
  turn(inRow: number, user: string): Promise<void> | undefined;
}

export interface PaceOptions {
  /** Longest time of deliveries before the event loop goes round, ms. */
  sliceMs: number;
  /** Records in a row while others wait. */
  rowRecords: number;
  now?: () => number;
}

export function openPace({ sliceMs, rowRecords, now = () => performance.now() }: PaceOptions): Pace {
  const waiting: FairQueue<() => void> = openFairQueue();
  /** End of this round of the event loop's deliveries; undefined before the first. */
  let deadlineMs: number | undefined;
  let serving = false;
  return {
    turn(inRow, user) {
      const timeMs = now();
      deadlineMs ??= beginRound(timeMs);
      const isLate = timeMs >= deadlineMs;
      if (!isLate && (waiting.size === 0 || inRow < rowRecords)) return undefined;
      return new Promise(resolve => {
        waiting.push(user, resolve);
        if (!isLate) serve();
      });
    },
  };

  function beginRound(timeMs: number): number {
    setImmediate(() => {
      deadlineMs = waiting.size > 0 ? beginRound(now()) : undefined;
      serve();
    });
    return timeMs + sliceMs;
  }

  /**
   * Wakes one after the other until the round is over: most have a single record to deliver and then ask for no further turn,
   * so that nobody would wake the next one before the event loop has gone round.
   */
  function serve(): void {
    if (serving) return;
    serving = true;
    const wakeNext = () => {
      const wake = deadlineMs !== undefined && now() < deadlineMs ? waiting.shift() : undefined;
      serving = wake !== undefined;
      if (wake === undefined) return;
      wake();
      queueMicrotask(wakeNext); // behind what the one that is awake delivers at once
    };
    wakeNext();
  }
}
