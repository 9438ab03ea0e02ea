import type { Writable } from 'node:stream';

export interface OutletOptions {
  /** Bytes waiting for the client, with what their writes cost besides, beyond which nobody takes more for it. */
  bufferBytes: number;
  /** How long the client may leave them waiting without taking a share of them, ms. */
  slowTimeoutMs: number;
  /** Called once, when the client was too slow. */
  onSlow(): void;
}

/** The way out to one client: writes of one tick leave together, and who writes can see when to stop. */
export interface Outlet {
  /**
   * Called before a write: holds it back until the tick is over.
   * @param sizeBytes of the write, roughly: one that is larger than the budget says nothing about the client.
   */
  gather(sizeBytes: number): void;
  /** Undefined while there is room; else resolves when there is again, or when the client has gone. */
  room(): Promise<void> | undefined;
}

/** For a socket. */
export function openOutlet(writable: Writable, options: OutletOptions): Outlet {
  const { bufferBytes, slowTimeoutMs, onSlow } = options;
  let gathering = false;
  let slow = false;
  let largestBytes = 0;
  /** Of the writes, the latest counting most; 0 before the first. */
  let averageBytes = 0;
  let roomAgain: Promise<void> | undefined;

  return {
    gather(sizeBytes) {
      // Answers to operations are not taken at the client's pace: whoever asks without reading is slow as well.
      if (writable.writableLength > 2 * bufferBytes + largestBytes) tooSlow();
      largestBytes = Math.max(largestBytes, sizeBytes);
      averageBytes += (Math.max(1, sizeBytes) - averageBytes) / (averageBytes === 0 ? 1 : averagedWrites);
      if (gathering) return;
      gathering = true;
      writable.cork();
      setImmediate(() => {
        gathering = false;
        writable.uncork();
        // Nobody asks for room before an answer to an operation: whoever leaves that lying is slow as well.
        void room();
      });
    },
    room,
  };

  function room(): Promise<void> | undefined {
    if (roomAgain !== undefined) return roomAgain;
    if (writable.destroyed || waitingBytes() <= bufferBytes) return undefined;
    return (roomAgain = waitForRoom());
  }

  /** A stream of short records would cost a multiple of the budget if nothing but its bytes counted. */
  function waitingBytes(): number {
    const bytes = writable.writableLength;
    return averageBytes === 0 ? bytes : bytes + (bytes / averageBytes) * writeOverheadBytes;
  }

  function waitForRoom(): Promise<void> {
    const patience = openPatience(bufferBytes / sharesOfBudget, progressOf(writable));
    return new Promise(resolve => {
      const timer = setInterval(look, slowTimeoutMs / looksInTimeout);
      writable.on('drain', done).on('close', done);

      function look(): void {
        // It need not become empty: pings and answers come on top of what a client takes all the time.
        if (waitingBytes() <= bufferBytes / 2) done();
        else if (patience.isOver(progressOf(writable))) tooSlow();
      }

      function done(): void {
        clearInterval(timer);
        writable.off('drain', done).off('close', done);
        roomAgain = undefined;
        resolve();
      }
    });
  }

  function tooSlow(): void {
    if (slow) return;
    slow = true;
    onSlow();
  }
}

/** What a frame that waits costs besides its bytes: its header, two entries of node:stream's queue. Measured, Node 24. */
const writeOverheadBytes = 250;
const averagedWrites = 16;
/** A client that takes less than this share of the budget in the whole time is too slow. */
const sharesOfBudget = 16;
const looksInTimeout = 4;

/** What a client has taken, as far as one can see. */
export interface Progress {
  /** Bytes of the writes that have left entirely, ever. */
  leftBytes: number;
  /** Bytes of the write under way that the operating system has not taken. */
  underWayBytes: number;
}

/**
 * Judges a client by what it takes, not by whether it takes everything: one on a thin line that reads all the time is
 * none to be closed. Counts looks instead of time: a process that was held up itself looks once, and blames nobody.
 */
export function openPatience(shareBytes: number, begin: Progress): { isOver(now: Progress): boolean } {
  let last = begin;
  let looks = 0;
  return {
    isOver(now) {
      const hasMoved = now.leftBytes > last.leftBytes || now.underWayBytes <= last.underWayBytes - shareBytes;
      if (hasMoved) last = now;
      looks = hasMoved ? 0 : looks + 1;
      return looks >= looksInTimeout;
    },
  };
}

/**
 * A write counts as waiting until all of it has left. How far the one under way has come is on the handle alone, where
 * node:net finds it for its own time-outs (`lastWriteQueueSize`); elsewhere a client is seen to move by whole writes.
 */
function progressOf(writable: Writable): Progress {
  const { bytesWritten = 0, _handle } = writable as Writable & {
    bytesWritten?: number;
    _handle?: { writeQueueSize?: number } | null;
  };
  return { leftBytes: bytesWritten - writable.writableLength, underWayBytes: _handle?.writeQueueSize ?? 0 };
}
