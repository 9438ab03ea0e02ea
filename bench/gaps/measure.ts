/** What one client got, against what the log holds of its key. Pure; times are ms of the machine's clock. */

export interface Delivery {
  /** The record's place in the log's order of its key, from 0. */
  record: number;
  atMs: number;
}

/** What was done to a system, from just before until every client was served again. */
export interface Window {
  fault: string;
  fromMs: number;
  toMs: number;
}

export interface ClientFindings {
  /** Longest time without a delivery that touches the window; from its beginning, or to its end, where there is none. */
  gapMs: number;
  /** Longest time between two appends of its key that touches the window: without anybody's fault a gap is hardly shorter. */
  appendGapMs: number;
  /** The latest that a record appended within the window came, counted from its append. */
  latestMs: number;
  /** Records appended within the window that never came. */
  lost: number;
  /** Deliveries of such records beyond the first. */
  twice: number;
  /** Such records that came for the first time after a later one. */
  outOfOrder: number;
}

/** One client in one window, before which it was live. `appendedAtMs`: of each record of its key, by place. */
export function findingsOf(
  { fromMs, toMs }: Window,
  appendedAtMs: readonly number[],
  deliveries: readonly Delivery[],
): ClientFindings {
  const findings = { gapMs: 0, appendGapMs: 0, latestMs: 0, lost: 0, twice: 0, outOfOrder: 0 };
  const isOfWindow = (atMs: number | undefined): atMs is number => atMs !== undefined && atMs >= fromMs && atMs < toMs;
  const seen = new Set<number>();
  let highest = -1;
  let previousMs = Math.min(fromMs, deliveries[0]?.atMs ?? fromMs);
  for (const { record, atMs } of deliveries) {
    if (atMs >= fromMs && previousMs < toMs) findings.gapMs = Math.max(findings.gapMs, atMs - previousMs);
    previousMs = atMs;
    const appended = appendedAtMs[record];
    if (isOfWindow(appended)) {
      if (seen.has(record)) findings.twice++;
      else {
        if (record < highest) findings.outOfOrder++;
        findings.latestMs = Math.max(findings.latestMs, atMs - appended);
      }
    }
    seen.add(record);
    if (record > highest) highest = record;
  }
  if (previousMs < toMs) findings.gapMs = Math.max(findings.gapMs, toMs - previousMs);
  for (const [record, atMs] of appendedAtMs.entries()) {
    const before = appendedAtMs[record - 1];
    if (before === undefined || atMs < fromMs || before >= toMs) continue;
    findings.appendGapMs = Math.max(findings.appendGapMs, atMs - before);
  }
  findings.lost = appendedAtMs.filter((appended, record) => isOfWindow(appended) && !seen.has(record)).length;
  return findings;
}

/** Nearest rank; NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * q) - 1)] ?? Number.NaN;
}
