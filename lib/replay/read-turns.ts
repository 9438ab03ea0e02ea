/**
 * Which partitions of one ALL stream read the log at once: as many as its budget has room for what a read of each brings.
 * If all did, most of them would read in vain, again and again: one has filled the budget before the others have answered.
 */

import type { StreamQueue } from './stream-queue.ts';

/**
 * What one read of an ALL stream brings at most; a single batch may be larger. A quarter of the usual budget: while the taker
 * has half of it in hand, two reads fill the other. With halves, what a record takes beyond its bytes made them miss.
 */
export const fetchBytes = 262_144;
/** Whoever reads for longer keeps nobody from reading: its leader may be away, ms. */
const patienceMs = 1_000;

export interface ReadTurns {
  /** Whether it may begin to read; when not, `wake` follows once another may. */
  begin(reader: object): boolean;
  /** Whether there is room for what the next read of each brings. */
  goesOn(): boolean;
  /** It has ended, paused or failed. Does nothing for one that does not read. */
  end(reader: object): void;
}

/** @param wake asks those who wait to begin again; called once the one that has ended is through with it. */
export function openReadTurns(queue: Pick<StreamQueue, 'hasRoom' | 'roomBytes'>, wake: () => void): ReadTurns {
  const reading = new Map<object, NodeJS.Timeout>();
  const end = (reader: object) => {
    const timer = reading.get(reader);
    if (timer === undefined) return;
    clearTimeout(timer);
    reading.delete(reader);
    queueMicrotask(wake);
  };
  // One alone reads whenever nothing is queued, however small the budget.
  const mayRead = (readers: number) =>
    readers <= 1 ? queue.hasRoom(fetchBytes) : queue.roomBytes >= readers * fetchBytes;
  return {
    begin(reader) {
      if (!mayRead(reading.size + 1)) return false;
      reading.set(reader, setTimeout(end, patienceMs, reader).unref());
      return true;
    },
    goesOn: () => mayRead(reading.size),
    end,
  };
}
