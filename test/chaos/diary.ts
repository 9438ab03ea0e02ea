/** What happened when, for whoever has to explain a violation. */
export interface Diary {
  /** ms since the run's start. */
  now(): number;
  note(who: string, what: string): void;
  /** A client's (or `run`'s) lines between two times, oldest first. */
  between(who: string, fromMs: number, toMs: number): string[];
}

const mostLines = 2_000;

/** @param echo is told of what `run` notes. */
export function openDiary(echo: (line: string) => void): Diary {
  const startMs = Date.now();
  const lines = new Map<string, { atMs: number; what: string }[]>();
  const now = () => Date.now() - startMs;
  return {
    now,
    note(who, what) {
      const atMs = now();
      const mine = lines.get(who) ?? [];
      lines.set(who, mine);
      mine.push({ atMs, what });
      if (mine.length > mostLines) mine.shift();
      if (who === 'run') echo(`${seconds(atMs)} ${what}`);
    },
    between: (who, fromMs, toMs) =>
      (lines.get(who) ?? [])
        .filter(({ atMs }) => atMs >= fromMs && atMs <= toMs)
        .map(({ atMs, what }) => `${seconds(atMs)} ${what}`),
  };
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(3)} s`;
}
