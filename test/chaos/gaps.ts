import { fields, type Recording } from './evidence.ts';
import type { TopicTruth } from './truth.ts';

/** A time during which something was wrong, or nothing was. ms since the run's start. */
export interface Span {
  fault: string;
  fromMs: number;
  toMs: number;
  /** Partitions whose owner changed meanwhile. */
  moved: ReadonlySet<number>;
}

/** Longest time from a record's append to its arrival, of each client, over all spans of one fault. */
export interface GapRow {
  fault: string;
  spans: number;
  moved: Spread;
  stayed: Spread;
}

/** ms; over clients. */
export interface Spread {
  clients: number;
  p50: number;
  p99: number;
  max: number;
}

/**
 * The longest delivery gap of each client per fault: of the records that were appended during a span, how long the last one
 * took. A client that a fault took off is left out of that span. `moved`: its key's partition changed its owner.
 * @param spans by time, none overlapping another.
 * @param partitionOf of a user key.
 */
export function gapTable(
  spans: readonly Span[],
  recordings: readonly Recording[],
  truths: ReadonlyMap<string, TopicTruth>,
  partitionOf: (user: string) => number,
): GapRow[] {
  const longest = new Map<string, { moved: number[]; stayed: number[]; spans: number }>();
  for (const { fault } of spans) {
    const row = longest.get(fault) ?? { moved: [], stayed: [], spans: 0 };
    row.spans++;
    longest.set(fault, row);
  }
  for (const recording of recordings) {
    const truth = truths.get(fields[recording.field].topic);
    if (truth === undefined) continue;
    const partition = partitionOf(recording.user);
    for (const [index, gap] of gapsOf(spans, recording, truth).entries()) {
      const span = spans[index];
      if (span === undefined || gap === undefined) continue;
      longest.get(span.fault)?.[span.moved.has(partition) ? 'moved' : 'stayed'].push(gap);
    }
  }
  return [...longest].map(([fault, { moved, stayed, spans }]) => ({
    fault,
    spans,
    moved: spreadOf(moved),
    stayed: spreadOf(stayed),
  }));
}

/** Per span the longest gap, ms; undefined where nothing was appended for it, or the client was away. */
function gapsOf(spans: readonly Span[], recording: Recording, truth: TopicTruth): (number | undefined)[] {
  const longest = spans.map((): number | undefined => undefined);
  const ids = recording.ids.view();
  const arrivedMs = recording.arrivedMs.view();
  for (const [index, id] of ids.entries()) {
    const row = truth.rowsOf(id)[0];
    if (row === undefined) continue;
    const appendedMs = truth.appendedMs[row] ?? 0;
    const gap = (arrivedMs[index] ?? 0) - appendedMs;
    const at = spanAt(spans, appendedMs);
    if (at !== undefined && gap > (longest[at] ?? -1)) longest[at] = gap;
  }
  return longest.map((gap, at) => {
    const span = spans[at];
    const away = recording.away.some(({ fromMs, toMs }) => span && fromMs <= span.toMs && toMs >= span.fromMs);
    return away ? undefined : gap;
  });
}

/** The one that holds a time: they are in order, and none overlaps another. */
function spanAt(spans: readonly Span[], ms: number): number | undefined {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((spans[middle]?.fromMs ?? 0) <= ms) low = middle + 1;
    else high = middle;
  }
  const span = spans[low - 1];
  return span !== undefined && ms <= span.toMs ? low - 1 : undefined;
}

function spreadOf(values: number[]): Spread {
  values.sort((a, b) => a - b);
  const at = (share: number) => values[Math.min(values.length - 1, Math.ceil(values.length * share) - 1)] ?? 0;
  return { clients: values.length, p50: at(0.5), p99: at(0.99), max: values.at(-1) ?? 0 };
}
