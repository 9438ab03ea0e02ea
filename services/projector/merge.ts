/**
 * How records become a row, as pure functions.
 *
 * A row is the merge, field by field, of the records that name its id. Within one *lineage* (the records of a key that
 * carry a sequence number, or those of a key that carry none) the order is plain: by sequence, or by time. Between
 * lineages only time can tell. Comparing records pairwise with both rules at once has no consistent answer (5 after 3 by
 * sequence, 3 after x and x after 5 by time), so that the result would hang on the order of reading. Hence a row keeps
 * each lineage's newest value of a field, and shows the newest of those.
 */

/** Where a value came from. */
export interface Stamp {
  /** Index in the table's topics. */
  topic: number;
  partition: number;
  offset: number;
  timestampMs: number;
  /** `ce_keysequence`, where the record has one. */
  sequence: number | undefined;
  /** Hex of the key's hash; empty for a record without a key. */
  key: string;
}

/** A record's part in a row: the fields for which it is the newest of its lineage. */
export interface Contribution {
  stamp: Stamp;
  /** The key as text; null where there is none, or it is not text. */
  keyText: string | null;
  /** The record's headers as JSON, where the table keeps them. */
  headers: unknown;
  fields: Readonly<Record<string, unknown>>;
}

/** Newest first by time; no field twice in one lineage; never empty. */
export type Row = readonly Contribution[];

/** The newest tombstones of a key. */
export interface Tombstones {
  sequenced: Stamp | undefined;
  plain: Stamp | undefined;
}

export const noTombstones: Tombstones = { sequenced: undefined, plain: undefined };

/**
 * Most lineages whose value of one field is kept. More of them only matter where records of a key carry times that
 * contradict their sequence, and those of other keys lie in between.
 */
export const maxLineages = 8;

/** By time, the way lineages compare. Positive: `a` is newer. Never 0 for two records of one table. */
export function compareByTime(a: Stamp, b: Stamp): number {
  return a.timestampMs - b.timestampMs || a.offset - b.offset || a.topic - b.topic || a.partition - b.partition;
}

/** Inside a lineage. A sequence that comes again is the same event: the first record of it stays. */
function compareInLineage(a: Stamp, b: Stamp): number {
  if (a.sequence === undefined || b.sequence === undefined) return compareByTime(a, b);
  return a.sequence - b.sequence || b.topic - a.topic || b.partition - a.partition || b.offset - a.offset;
}

function sameLineage(a: Stamp, b: Stamp): boolean {
  return a.key === b.key && (a.sequence === undefined) === (b.sequence === undefined);
}

/** The row with one more record in it; the same object where that changes nothing. */
export function mergeRow(row: Row | undefined, added: Contribution): Row {
  if (row === undefined) return [added];
  const lineage = row.filter(({ stamp }) => sameLineage(stamp, added.stamp));
  const wins = (field: string): boolean =>
    lineage.every(({ stamp, fields }) => !Object.hasOwn(fields, field) || compareInLineage(added.stamp, stamp) > 0);
  const won = Object.entries(added.fields).filter(([field]) => wins(field));
  if (won.length === 0) return row;
  const taken = new Set(won.map(([field]) => field));
  const others = row.map(held => (lineage.includes(held) ? without(held, taken) : held));
  const merged = [...others, { ...added, fields: Object.fromEntries(won) }];
  merged.sort((a, b) => compareByTime(b.stamp, a.stamp));
  return bounded(merged.filter(isNotEmpty));
}

/** The row without what the tombstones delete; undefined when nothing is left. */
export function buryRow(row: Row, tombstonesOf: (key: string) => Tombstones): Row | undefined {
  const alive = row.filter(({ stamp }) => !isBuried(stamp, tombstonesOf(stamp.key)));
  if (alive.length === row.length) return row;
  return alive.length === 0 ? undefined : alive;
}

/** Whether a tombstone of its key is newer than the record. */
export function isBuried(stamp: Stamp, { sequenced, plain }: Tombstones): boolean {
  if (stamp.key === '') return false;
  if (plain !== undefined && compareByTime(plain, stamp) > 0) return true;
  if (sequenced === undefined) return false;
  if (stamp.sequence === undefined) return compareByTime(sequenced, stamp) > 0;
  return (sequenced.sequence ?? 0) > stamp.sequence;
}

/** The same object where the stamp is none of the newest. */
export function addTombstone(tombstones: Tombstones, stamp: Stamp): Tombstones {
  const slot = stamp.sequence === undefined ? 'plain' : 'sequenced';
  const held = tombstones[slot];
  if (held !== undefined && compareInLineage(stamp, held) <= 0) return tombstones;
  return { ...tombstones, [slot]: stamp };
}

/** What the row shows: each field's newest value, and the newest record, by which rows are ordered. */
export function shown(row: Row): { newest: Contribution; fields: Record<string, unknown> } {
  const fields: Record<string, unknown> = {};
  for (const contribution of row) {
    for (const [field, value] of Object.entries(contribution.fields)) {
      if (!Object.hasOwn(fields, field)) fields[field] = value;
    }
  }
  const heads = row.filter(({ stamp }) =>
    row.every(other => !sameLineage(stamp, other.stamp) || compareInLineage(stamp, other.stamp) >= 0),
  );
  const newest = heads[0];
  if (newest === undefined) throw new Error('a row without records');
  return { newest, fields };
}

function without(contribution: Contribution, taken: ReadonlySet<string>): Contribution {
  const kept = Object.entries(contribution.fields).filter(([field]) => !taken.has(field));
  return { ...contribution, fields: Object.fromEntries(kept) };
}

function isNotEmpty({ fields }: Contribution): boolean {
  for (const _ in fields) return true;
  return false;
}

/** `row` is newest first, so that the first holders of a field are the ones to keep. */
function bounded(row: Contribution[]): Row {
  if (row.length <= maxLineages) return row;
  const holders = new Map<string, number>();
  return row
    .map(contribution => {
      const excess = new Set<string>();
      for (const field of Object.keys(contribution.fields)) {
        const count = (holders.get(field) ?? 0) + 1;
        holders.set(field, count);
        if (count > maxLineages) excess.add(field);
      }
      return excess.size === 0 ? contribution : without(contribution, excess);
    })
    .filter(isNotEmpty);
}
