import type { ChaosResult } from './chaos.ts';
import type { Violation } from './check.ts';
import { seconds } from './diary.ts';
import { fields } from './evidence.ts';

/** Everything that must be 0. */
export function violationsOf({ findings }: ChaosResult): number {
  return Object.values(findings).reduce((sum: number, count) => sum + Math.abs(count), 0);
}

/** For people: counts, gaps, and each of the first violations with what was going on around it. */
export function tableOf(result: ChaosResult): string {
  const { counts, findings, gaps, buffer } = result;
  const { claim, open, append, refused, windows, entries } = buffer.counts;
  const lines = [
    `${counts.deliveries} deliveries of ${counts.records} records to ${counts.streams} streams, ${counts.commands} commands, ${counts.seconds} s`,
    Object.entries(findings)
      .map(([name, count]) => `${name} ${count}`)
      .join(', '),
    `replay buffer: ${claim} claims, ${open} windows begun, ${append} appends watched, ${refused} of them refused; ${windows} windows with ${entries} entries compared`,
    '',
    'longest delivery gap of a stream, append to arrival, ms   key moved: n p50 p99 max   stayed: n p50 p99 max',
  ];
  for (const { fault, spans, moved, stayed } of gaps) {
    const cells = [moved, stayed].map(({ clients, p50, p99, max }) =>
      [clients, p50, p99, max].map(value => String(value).padStart(6)).join(' '),
    );
    lines.push(`${`${fault} x${spans}`.padEnd(36)} ${cells.join('   |')}`);
  }
  if (buffer.named.length > 0) lines.push('', ...buffer.named.slice(0, 20).map(fault => `BUFFER: ${fault}`));
  const named = result.streams.named.slice(0, 20);
  for (const violation of named) lines.push('', ...explain(violation, result));
  for (const { client, field, endings } of result.recordings) {
    for (const { atMs, code } of endings) lines.push(`${client} ${field} ended at ${seconds(atMs)}: ${code}`);
  }
  return lines.join('\n');
}

/** One line of JSON, for machines. */
export function jsonOf(result: ChaosResult, settings: object): string {
  const { counts, findings, gaps, spans, buffer } = result;
  const faults = spans.map(({ fault, fromMs, toMs, moved, failure }) => ({
    ...{ fault, fromMs, toMs, failure },
    moved: moved.size,
  }));
  return JSON.stringify({ ...settings, ...counts, findings, buffer: buffer.counts, gaps, faults });
}

const aroundMs = 5_000;

function explain(violation: Violation, { truths, spans, diary, recordings }: ChaosResult): string[] {
  const { kind, client, field, id, row, arrivedMs } = violation;
  const { topic } = fields[field];
  const truth = truths.get(topic);
  const at = row ?? -1;
  const appendedMs = truth?.appendedMs[at];
  const place =
    row === undefined
      ? `record ${id}, which is not in the log`
      : `${topic}/${truth?.partitions[at]}/${truth?.offsets[at]} of ${truth?.keyNames[truth.keys[at] ?? -1]}`;
  const when = arrivedMs ?? appendedMs ?? 0;
  const recording = recordings.find(candidate => candidate.client === client && candidate.field === field);
  const came = recording?.arrivedMs.view() ?? new Uint32Array();
  const before = came.findLast(ms => ms <= when);
  const after = came.find(ms => ms > when);
  const active = spans.filter(({ fromMs, toMs }) => when >= fromMs - aroundMs && when <= toMs + aroundMs);
  const show = (ms: number | undefined) => (ms === undefined ? 'never' : seconds(ms));
  return [
    `${kind.toUpperCase()}: ${client} ${field}: ${place}, appended ${show(appendedMs)}, came ${show(arrivedMs)}`,
    `  arrivals around it: ${show(before)}, then ${show(after)}; faults: ${active.map(({ fault, fromMs, toMs }) => `${fault} ${seconds(fromMs)}–${seconds(toMs)}`).join(', ') || 'none'}`,
    ...diary.between(client, when - aroundMs, when + 3 * aroundMs).map(line => `  ${line}`),
  ];
}
