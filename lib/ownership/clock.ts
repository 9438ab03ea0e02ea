/** Time, as a test may make it. */
export interface Clock {
  /** ms since the epoch. */
  nowMs(): number;
  /** Runs it once, after so long. Returns what cancels it. */
  after(ms: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: Date.now,
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
