import type { StreamFindings } from '../proof/check.ts';
import { fields, type Recording } from './evidence.ts';
import { misplaced, repeat, type TopicTruth } from './truth.ts';

export type ViolationKind = keyof StreamFindings;

/** One record of one stream that is not as it has to be. */
export interface Violation {
  kind: ViolationKind;
  client: string;
  field: Recording['field'];
  /** Of {@link Ids}. */
  id: number;
  /** In the truth; undefined for what was never in the log. */
  row: number | undefined;
  /** When it came, ms since the run's start; undefined for what never did. */
  arrivedMs: number | undefined;
}

/** Violations that are named; all are counted. */
const mostNamed = 200;

export interface StreamVerdict extends StreamFindings {
  deliveries: number;
  named: Violation[];
}

/**
 * Compares what streams got with the log. Every stream began at the log's beginning. OWN: the records of its key that lie in
 * the key's partition, but for repeats, each once and in order. ALL: every record, each once, in order of its partition;
 * repeats may come or not (a handler's crash makes them, and the memory that drops them is bounded).
 */
export function checkStreams(recordings: readonly Recording[], truths: ReadonlyMap<string, TopicTruth>): StreamVerdict {
  const verdict: StreamVerdict = { lost: 0, twice: 0, outOfOrder: 0, foreign: 0, deliveries: 0, named: [] };
  for (const recording of recordings) {
    const truth = truths.get(fields[recording.field].topic);
    if (truth === undefined) throw new Error(`no truth about ${fields[recording.field].topic}`);
    checkOne(recording, truth, verdict);
  }
  return verdict;
}

function checkOne(recording: Recording, truth: TopicTruth, verdict: StreamVerdict): void {
  const { client, field, user } = recording;
  const { own } = fields[field];
  const seen = new Uint8Array(truth.rows);
  const lastRows = new Map<number, number>();
  const ids = recording.ids.view();
  const arrivedMs = recording.arrivedMs.view();
  verdict.deliveries += ids.length;

  const found = (kind: ViolationKind, id: number, row: number | undefined, at: number | undefined) => {
    verdict[kind]++;
    if (verdict.named.length < mostNamed) verdict.named.push({ kind, client, field, id, row, arrivedMs: at });
  };
  const key = truth.keyNames.indexOf(user);
  const isWanted = (row: number) => !own || (truth.keys[row] === key && ((truth.flags[row] ?? 0) & misplaced) === 0);

  for (const [index, id] of ids.entries()) {
    const at = arrivedMs[index];
    const all = truth.rowsOf(id);
    const rows = all.filter(isWanted);
    if (rows.length === 0) {
      found('foreign', id, all[0], at);
      continue;
    }
    const shown = own ? rows.filter(row => ((truth.flags[row] ?? 0) & repeat) === 0) : rows;
    const row = shown.find(candidate => seen[candidate] === 0);
    if (row === undefined) {
      found('twice', id, rows[0], at);
      continue;
    }
    seen[row] = 1;
    const partition = truth.partitions[row] ?? 0;
    if (row < (lastRows.get(partition) ?? -1)) found('outOfOrder', id, row, at);
    else lastRows.set(partition, row);
  }
  for (let row = 0; row < truth.rows; row++) {
    if (seen[row] === 0 && isWanted(row) && ((truth.flags[row] ?? 0) & repeat) === 0) {
      found('lost', truth.ids[row] ?? 0, row, undefined);
    }
  }
}

/** How many records a stream has still to get to be complete: what {@link checkStreams} would call lost. */
export function wantedOf(recording: Recording, truth: TopicTruth): number {
  const { own } = fields[recording.field];
  const key = truth.keyNames.indexOf(recording.user);
  let wanted = 0;
  for (let row = 0; row < truth.rows; row++) {
    const flags = truth.flags[row] ?? 0;
    if ((flags & repeat) !== 0) continue;
    if (!own || (truth.keys[row] === key && (flags & misplaced) === 0)) wanted++;
  }
  return wanted;
}
