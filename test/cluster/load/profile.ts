import type { Diary } from '../../chaos/diary.ts';
import { fields, type Recording } from '../../chaos/evidence.ts';
import type { Truths } from './verdict.ts';

/** One stream's longest wait for a record. */
interface Wait {
  client: string;
  field: string;
  appendedMs: number;
  arrivedMs: number;
}

/** What is shown before a record's append and behind its arrival, ms. */
const aroundMs = 300;
const mostPatterns = 6;

/**
 * Says what held up the streams whose longest wait passed a bound: what their connections went through meanwhile, grouped, most
 * frequent first, each with one example.
 */
export function profileOf(
  truths: Truths,
  recordings: readonly Recording[],
  diary: Diary,
  { fromMs, toMs, boundMs }: { fromMs: number; toMs: number; boundMs: number },
): string[] {
  const patterns = new Map<string, Wait[]>();
  for (const recording of recordings) {
    const wait = longestWait(truths, recording, fromMs, toMs);
    if (wait === undefined || wait.arrivedMs - wait.appendedMs <= boundMs) continue;
    const lines = diary.between(wait.client, wait.appendedMs - aroundMs, wait.arrivedMs + aroundMs);
    const pattern = lines.map(line => line.replace(/^\S+ s /, '')).join(', ') || 'its connection stayed as it was';
    patterns.set(pattern, [...(patterns.get(pattern) ?? []), wait]);
  }
  return [...patterns]
    .sort((a, b) => b[1].length - a[1].length)
    .slice(0, mostPatterns)
    .map(([pattern, waits]) => {
      const [worst] = waits.sort((a, b) => b.arrivedMs - b.appendedMs - (a.arrivedMs - a.appendedMs));
      if (worst === undefined) return pattern;
      const { client, field, appendedMs, arrivedMs } = worst;
      const when = ((appendedMs - fromMs) / 1_000).toFixed(1);
      const lines = diary.between(client, appendedMs - aroundMs, arrivedMs + aroundMs);
      const course = lines.map(
        line => `${Math.round(Number.parseFloat(line) * 1_000 - appendedMs)} ms ${line.replace(/^\S+ s /, '')}`,
      );
      return `${waits.length} streams: ${pattern}; at worst ${arrivedMs - appendedMs} ms, ${client} ${field}, appended ${when} s after the beginning (${course.join(', ')})`;
    });
}

function longestWait(truths: Truths, recording: Recording, fromMs: number, toMs: number): Wait | undefined {
  const truth = truths.get(fields[recording.field].topic);
  const arrivals = recording.arrivedMs.view();
  let longest: Wait | undefined;
  for (const [index, id] of recording.ids.view().entries()) {
    const row = truth?.rowsOf(id)[0];
    const appendedMs = row === undefined ? undefined : truth?.appendedMs[row];
    if (appendedMs === undefined || appendedMs < fromMs || appendedMs > toMs) continue;
    const arrivedMs = arrivals[index] ?? 0;
    if (longest !== undefined && arrivedMs - appendedMs <= longest.arrivedMs - longest.appendedMs) continue;
    longest = { client: recording.client, field: recording.field, appendedMs, arrivedMs };
  }
  return longest;
}
