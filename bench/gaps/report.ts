import { type ClientFindings, findingsOf, quantile } from './measure.ts';
import type { Observation } from './observe.ts';
import { sequenceOf } from './record-id.ts';
import { faults } from './system.ts';

/** A record of the dump, as far as it is needed. */
export interface LoggedRecord {
  key: string | null;
  timestampMs: number;
  value: Record<string, unknown> | null;
}

/** A key's records in the order of the log: when each was appended, and the place of each sequence number. */
interface KeyLog {
  appendedAtMs: number[];
  places: Map<number, number>;
}

/** One row for each fault, whether the key moved, and system. */
export function table(observations: readonly Observation[], records: readonly LoggedRecord[]): string {
  const logs = logsByKey(records);
  const lines = [
    '| fault | keys | system | clients | gap p50 | gap p99 | gap max | appends p99 | latest p99 | lost | twice | out of order |',
    '|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
  ];
  for (const fault of faults) {
    for (const keys of ['move', 'stay'] as const) {
      for (const observation of observations) {
        const findings = findingsFor(observation, fault, keys === 'move', logs);
        if (findings.length > 0) lines.push(row([fault, keys, observation.system], findings));
      }
    }
  }
  return `${lines.join('\n')}\n`;
}

function logsByKey(records: readonly LoggedRecord[]): Map<string, KeyLog> {
  const logs = new Map<string, KeyLog>();
  for (const { key, timestampMs, value } of records) {
    if (key === null) continue;
    const log: KeyLog = logs.get(key) ?? { appendedAtMs: [], places: new Map() };
    logs.set(key, log);
    log.places.set(sequenceOf(String(value?.id)), log.appendedAtMs.length);
    log.appendedAtMs.push(timestampMs);
  }
  return logs;
}

/** One for each client and window. */
function findingsFor(
  { windows, deliveries }: Observation,
  fault: string,
  moved: boolean,
  logs: ReadonlyMap<string, KeyLog>,
): ClientFindings[] {
  const findings: ClientFindings[] = [];
  for (const window of windows.filter(window => window.fault === fault)) {
    for (const [user, got] of deliveries) {
      const log = logs.get(user);
      if (log === undefined || window.moved.has(user) !== moved) continue;
      const placed = got.sequences.map((sequence, index) => ({
        record: log.places.get(sequence) ?? Number.NaN,
        atMs: got.atMs[index] ?? Number.NaN,
      }));
      findings.push(findingsOf(window, log.appendedAtMs, placed));
    }
  }
  return findings;
}

function row(names: readonly string[], findings: readonly ClientFindings[]): string {
  const gaps = findings.map(({ gapMs }) => gapMs);
  const p99 = (of: 'appendGapMs' | 'latestMs') =>
    Math.round(
      quantile(
        findings.map(found => found[of]),
        0.99,
      ),
    );
  const sum = (name: 'lost' | 'twice' | 'outOfOrder') => findings.reduce((total, found) => total + found[name], 0);
  const cells: (string | number)[] = [
    ...names,
    findings.length,
    ...[0.5, 0.99, 1].map(q => Math.round(quantile(gaps, q))),
    p99('appendGapMs'),
    p99('latestMs'),
    sum('lost'),
    sum('twice'),
    sum('outOfOrder'),
  ];
  return `| ${cells.join(' | ')} |`;
}
