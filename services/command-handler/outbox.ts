import type { OutboxRow, RowId } from './types.ts';

/**
 * What a handler remembers of the outbox: which rows of its own partitions it has handed to the producer, and which
 * of those are in the log and may be deleted. Pure. The rule that it keeps:
 *
 * - Only rows of owned partitions are handed out, each once in a tenure.
 * - `learn` is given a key's rows from the smallest that remains in the database upwards, without a gap. Then all
 *   that precedes a row of the same key was handed out before it or is in the log already.
 * - A row may be deleted only once its append is acknowledged.
 */
export interface Outbox {
  /** Begins a new tenure, with no memory, also where the partition was owned before. */
  gain(partition: number): void;
  /** Forgets. What was handed out already may still reach the log, which does no harm. */
  lose(partition: number): void;
  /** A number that no other tenure has; undefined for a partition that is not owned. */
  tenure(partition: number): number | undefined;
  /** The rows that were not known, in order: hand them to the producer in just this order. */
  learn(rows: readonly OutboxRow[]): OutboxRow[];
  /**
   * The highest sequence that is remembered of a key, 0 for none. All of its rows below that remain are known as well,
   * so that the database need not send them again.
   */
  highest(at: KeyPlace): number;
  /** The row is in the log. */
  acknowledge(row: OutboxRow): void;
  /** The row will not be sent any more. @returns whether the present tenure counts on it: then it has to be begun anew. */
  abandon(row: OutboxRow): boolean;
  /** Rows that may be deleted, at most `limit`, and not offered again unless `keep` gives them back. */
  takeAcknowledged(limit: number): OutboxRow[];
  /** The rows are deleted: forget them, once every read has ended that began before. */
  deleted(rows: readonly OutboxRow[]): void;
  /**
   * A read of the table begins, and ends with a call of what is returned. It may show rows that are deleted meanwhile: until it
   * has ended they stay known, so that they are not handed out again.
   */
  beginRead(): () => void;
  /** Whether they were deleted is not known: offer them again. */
  keep(rows: readonly OutboxRow[]): void;
  /** Rows handed out and neither acknowledged nor abandoned. */
  unacknowledged(): number;
  /** Rows handed out, also in an earlier tenure, whose deletion is not known: they are in the log or may still reach it. */
  underWay(): OutboxRow[];
}

export interface KeyPlace {
  key: string;
  partition: number;
}

interface Tenure {
  number: number;
  keys: Map<string, KeyMemory>;
}

interface KeyMemory {
  /** By {@link idOf}. */
  rows: Map<string, OutboxRow>;
  highest: number;
}

export function openOutbox(): Outbox {
  const tenures = new Map<number, Tenure>();
  const pending = new Set<OutboxRow>();
  const reads = new Set<object>();
  /** Deleted rows that a read under way may show. */
  let fading: { rows: readonly OutboxRow[]; reads: Set<object> }[] = [];
  let acknowledged: OutboxRow[] = [];
  let gained = 0;

  return {
    gain: partition => void tenures.set(partition, { number: ++gained, keys: new Map() }),
    lose: partition => void tenures.delete(partition),
    tenure: partition => tenures.get(partition)?.number,
    learn: rows => rows.filter(row => remember(row)),
    highest: ({ key, partition }) => tenures.get(partition)?.keys.get(key)?.highest ?? 0,
    acknowledge(row) {
      if (pending.delete(row)) acknowledged.push(row);
    },
    abandon(row) {
      pending.delete(row);
      return tenures.get(row.partition)?.keys.get(row.key)?.rows.get(idOf(row)) === row;
    },
    takeAcknowledged(limit) {
      const taken = acknowledged.slice(0, limit);
      acknowledged = acknowledged.slice(limit);
      return taken;
    },
    deleted(rows) {
      if (reads.size > 0) fading.push({ rows, reads: new Set(reads) });
      else for (const row of rows) forget(row);
    },
    beginRead() {
      const read = {};
      reads.add(read);
      return () => {
        reads.delete(read);
        for (const each of fading) {
          each.reads.delete(read);
          if (each.reads.size === 0) for (const row of each.rows) forget(row);
        }
        fading = fading.filter(each => each.reads.size > 0);
      };
    },
    keep(rows) {
      acknowledged = [...rows, ...acknowledged];
    },
    unacknowledged: () => pending.size,
    underWay: () => [...pending, ...acknowledged],
  };

  /** Whether the row is new to its tenure. */
  function remember(row: OutboxRow): boolean {
    const tenure = tenures.get(row.partition);
    if (tenure === undefined) return false;
    let memory = tenure.keys.get(row.key);
    if (memory === undefined) tenure.keys.set(row.key, (memory = { rows: new Map(), highest: 0 }));
    if (memory.rows.has(idOf(row))) return false;
    memory.rows.set(idOf(row), row);
    memory.highest = Math.max(memory.highest, row.sequence);
    pending.add(row);
    return true;
  }

  function forget(row: OutboxRow): void {
    const keys = tenures.get(row.partition)?.keys;
    const memory = keys?.get(row.key);
    if (memory?.rows.get(idOf(row)) !== row) return;
    memory.rows.delete(idOf(row));
    if (memory.rows.size === 0) keys?.delete(row.key);
  }
}

function idOf(row: RowId): string {
  return `${row.sequence}/${row.repetition}`;
}
