import type { Writable } from 'node:stream';

export interface OutletOptions {
  /** Bytes waiting for the client beyond which nobody takes more for it. */
  bufferBytes: number;
  /** How long the client may leave them waiting, ms. */
  slowTimeoutMs: number;
  /** Called once, when the client was too slow. */
  onSlow(): void;
}

/** The way out to one client: writes of one tick leave together, and who writes can see when to stop. */
export interface Outlet {
  /** Called before a write: holds it back until the tick is over. */
  gather(): void;
  /** Undefined while there is room; else resolves when the client has taken everything, or has gone. */
  room(): Promise<void> | undefined;
}

/** For a socket. */
export function openOutlet(writable: Writable, options: OutletOptions): Outlet {
  const { bufferBytes, slowTimeoutMs, onSlow } = options;
  let gathering = false;
  let slow = false;
  let drained: Promise<void> | undefined;

  return {
    gather() {
      // Answers to operations are not taken at the client's pace: whoever asks without reading is slow as well.
      if (writable.writableLength > 2 * bufferBytes) tooSlow();
      if (gathering) return;
      gathering = true;
      writable.cork();
      setImmediate(() => {
        gathering = false;
        writable.uncork();
      });
    },
    room() {
      if (drained !== undefined) return drained;
      if (writable.destroyed || writable.writableLength <= bufferBytes) return undefined;
      return (drained = waitUntilDrained());
    },
  };

  function waitUntilDrained(): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(tooSlow, slowTimeoutMs);
      const done = () => {
        clearTimeout(timer);
        writable.off('drain', done).off('close', done);
        drained = undefined;
        resolve();
      };
      writable.on('drain', done).on('close', done);
    });
  }

  function tooSlow(): void {
    if (slow) return;
    slow = true;
    onSlow();
  }
}
