import type { TableVersion } from '../../lib/views/index.ts';
import { addTombstone, buryRow, type Contribution, isBuried, mergeRow, noTombstones, type Row } from './merge.ts';
import type { Entry } from './reading.ts';
import { deleteRows, insertRows, lockRows, updateRows } from './rows.ts';
import type { Queries } from './store.ts';
import { deleteBuriedRows, type Graveyard, saveTombstones } from './tombstones.ts';

/** Rounds in which rows may appear or vanish under our hands, by another projector that feeds the same ids. */
const maxRounds = 20;

/**
 * Applies a batch's entries to a version of a table. Tombstones count first: whether a record is buried depends on what
 * is the newer one, not on which is read first.
 */
export async function writeTable(
  queries: Queries,
  version: TableVersion,
  entries: readonly Entry[],
  graveyard: Graveyard,
): Promise<void> {
  const { layout } = version;
  const buriedKeys = await bury(queries, version, entries, graveyard);
  const tombstonesOf = (key: string) => graveyard.get(key) ?? noTombstones;

  let pending = new Map<string, Contribution[]>();
  for (const entry of entries) {
    if (entry.kind !== 'row' || isBuried(entry.contribution.stamp, tombstonesOf(entry.contribution.stamp.key)))
      continue;
    const others = pending.get(entry.id);
    if (others) others.push(entry.contribution);
    else pending.set(entry.id, [entry.contribution]);
  }

  let orOfKeys: readonly string[] = buriedKeys;
  for (let round = 0; pending.size > 0 || orOfKeys.length > 0; round++) {
    if (round === maxRounds) throw new Error(`rows of ${version.table} keep appearing and vanishing`);
    const held = await lockRows(queries, layout, pending.keys(), orOfKeys);
    orOfKeys = [];
    const inserts = new Map<string, Row>();
    const updates = new Map<string, Row>();
    const deletes: string[] = [];
    for (const [id, before] of held) {
      const alive = buriedKeys.length > 0 ? buryRow(before, tombstonesOf) : before;
      const after = mergeAll(alive, pending.get(id) ?? []);
      if (after === undefined) deletes.push(id);
      else if (after !== before) updates.set(id, after);
    }
    for (const [id, contributions] of pending) {
      const row = held.has(id) ? undefined : mergeAll(undefined, contributions);
      if (row) inserts.set(id, row);
    }
    await deleteRows(queries, layout, deletes.sort());
    await updateRows(queries, layout, updates);
    const conflicting = await insertRows(queries, layout, inserts);
    pending = new Map(conflicting.map(id => [id, pending.get(id) ?? []]));
  }
}

/** Takes note of a batch's tombstones and deletes what they bury outright. Returns the keys concerned. */
async function bury(
  queries: Queries,
  version: TableVersion,
  entries: readonly Entry[],
  graveyard: Graveyard,
): Promise<string[]> {
  const changed = new Set<string>();
  for (const entry of entries) {
    if (entry.kind !== 'tombstone') continue;
    const { key } = entry.stamp;
    const before = graveyard.get(key) ?? noTombstones;
    const after = addTombstone(before, entry.stamp);
    if (after === before) continue;
    graveyard.set(key, after);
    changed.add(key);
  }
  const keys = [...changed].sort();
  if (keys.length === 0) return keys;
  await saveTombstones(queries, version.id, graveyard, keys);
  await deleteBuriedRows(queries, version, graveyard, keys);
  return keys;
}

function mergeAll(row: Row | undefined, contributions: readonly Contribution[]): Row | undefined {
  return contributions.reduce<Row | undefined>((merged, added) => mergeRow(merged, added), row);
}
