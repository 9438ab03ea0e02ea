/** How time passes for this process. Nobody sets the first; the second also passes while a virtual machine is suspended. */
export interface Clocks {
  steadyMs(): number;
  wallMs(): number;
}

export interface FenceOptions {
  /** Whoever stood still for so long may have been put out of the group meanwhile, ms. */
  pauseMs: number;
  onPause(forMs: number): void;
  clocks?: Clocks;
}

/**
 * Whether this process may publish what it has in memory. After a pause (SIGSTOP, a suspended machine) another handler may
 * have published it long ago: nothing is sent until the group has confirmed the membership by a request sent after the pause.
 * What lies in a socket's buffer when the process is stopped can't be held back; nor is a pause noticed that no clock shows.
 */
export interface Fence {
  maySend(): boolean;
  /** The group knows this member, by an answer to a request that was sent then, ms of the steady clock. */
  confirmed(sentMs: number): void;
  close(): Promise<void>;
}

const processClocks: Clocks = { steadyMs: () => performance.now(), wallMs: () => Date.now() };

export function openFence({ pauseMs, onPause, clocks = processClocks }: FenceOptions): Fence {
  let last = { steadyMs: clocks.steadyMs(), wallMs: clocks.wallMs() };
  /** When the last pause was over. Whoever has just started is not in the group yet. */
  let wokeMs = last.steadyMs;
  let confirmedMs = Number.NEGATIVE_INFINITY;
  const ticking = setInterval(look, pauseMs / 4).unref();

  return {
    maySend() {
      look();
      return confirmedMs >= wokeMs;
    },
    confirmed(sentMs) {
      look();
      confirmedMs = Math.max(confirmedMs, sentMs);
    },
    async close() {
      clearInterval(ticking);
    },
  };

  /** Whichever comes first after a pause, the timer or somebody who wants to send, notices it. */
  function look(): void {
    const now = { steadyMs: clocks.steadyMs(), wallMs: clocks.wallMs() };
    const gapMs = Math.max(now.steadyMs - last.steadyMs, now.wallMs - last.wallMs);
    last = now;
    if (gapMs <= pauseMs) return;
    wokeMs = now.steadyMs;
    onPause(gapMs);
  }
}
