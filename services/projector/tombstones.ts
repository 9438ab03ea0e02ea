import type { TableVersion } from '../../lib/views/index.ts';
import { addTombstone, noTombstones, type Stamp, type Tombstones } from './merge.ts';
import type { Queries } from './store.ts';

/** The tombstones of a table version's keys, by the keys' hashes in hex. */
export type Graveyard = Map<string, Tombstones>;

interface StoredTombstone {
  versionId: number;
  key: string;
  topic: number;
  partition: number;
  offset: number;
  timestampMs: number;
  sequence: number | null;
}

/** Those of these keys, by version id. Nearly always none. */
export async function loadTombstones(
  queries: Queries,
  keys: readonly string[],
): Promise<ReadonlyMap<number, Graveyard>> {
  const graveyards = new Map<number, Graveyard>();
  const stored = await queries.query<StoredTombstone>(
    `SELECT version_id AS "versionId", encode(key_hash, 'hex') AS key, topic, partition, "offset",
       timestamp_ms AS "timestampMs", sequence
     FROM penstock.view_tombstones WHERE key_hash = ANY($1::bytea[])`,
    [keys.map(key => `\\x${key}`)],
  );
  for (const { versionId, sequence, ...place } of stored) {
    const graveyard: Graveyard = graveyards.get(versionId) ?? new Map();
    graveyards.set(versionId, graveyard);
    const stamp: Stamp = { ...place, sequence: sequence ?? undefined };
    graveyard.set(stamp.key, addTombstone(graveyard.get(stamp.key) ?? noTombstones, stamp));
  }
  return graveyards;
}

export async function saveTombstones(
  queries: Queries,
  versionId: number,
  graveyard: Graveyard,
  keys: Iterable<string>,
): Promise<void> {
  const stamps = [...keys].sort().flatMap(key => {
    const { sequenced, plain } = graveyard.get(key) ?? noTombstones;
    return [sequenced, plain].filter(stamp => stamp !== undefined);
  });
  await queries.query(
    `INSERT INTO penstock.view_tombstones
       (version_id, key_hash, topic, partition, "offset", timestamp_ms, sequence, sequenced)
     SELECT $1, u.*, u.sequence IS NOT NULL
     FROM unnest($2::bytea[], $3::smallint[], $4::integer[], $5::bigint[], $6::bigint[], $7::bigint[])
       AS u (key_hash, topic, partition, "offset", timestamp_ms, sequence)
     ON CONFLICT (key_hash, version_id, sequenced) DO UPDATE SET topic = excluded.topic,
       partition = excluded.partition, "offset" = excluded."offset", timestamp_ms = excluded.timestamp_ms,
       sequence = excluded.sequence`,
    [
      versionId,
      stamps.map(({ key }) => `\\x${key}`),
      stamps.map(({ topic }) => topic),
      stamps.map(({ partition }) => partition),
      stamps.map(({ offset }) => offset),
      stamps.map(({ timestampMs }) => timestampMs),
      stamps.map(({ sequence }) => sequence ?? null),
    ],
  );
}

/**
 * Deletes the rows that are made of one buried record, wherever in the table they are: set-based, since a key may have
 * any number of them. Rows of several records are for the caller to look at.
 */
export async function deleteBuriedRows(
  queries: Queries,
  { layout }: TableVersion,
  graveyard: Graveyard,
  keys: readonly string[],
): Promise<void> {
  const buried = keys.map(key => ({ key, ...(graveyard.get(key) ?? noTombstones) }));
  const place = (of: 'plain' | 'sequenced') =>
    `(grave.${of}_ms, grave.${of}_offset, grave.${of}_topic, grave.${of}_partition)`;
  const rowPlace = '(held._timestamp, held._offset, held.__topic, held._partition)';
  await queries.query(
    `DELETE FROM ${layout.relation} AS held
     USING unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::smallint[], $5::integer[],
                  $6::bigint[], $7::bigint[], $8::smallint[], $9::integer[], $10::bigint[])
       AS grave (key_hash, plain_ms, plain_offset, plain_topic, plain_partition,
                 sequenced_ms, sequenced_offset, sequenced_topic, sequenced_partition, sequence)
     WHERE held.__key = grave.key_hash AND held.__merge IS NULL
       AND (${place('plain')} > ${rowPlace}
         OR CASE WHEN held._sequence IS NULL THEN ${place('sequenced')} > ${rowPlace}
                 ELSE grave.sequence > held._sequence END)`,
    [
      buried.map(({ key }) => `\\x${key}`),
      ...placeColumns(buried.map(({ plain }) => plain)),
      ...placeColumns(buried.map(({ sequenced }) => sequenced)),
      buried.map(({ sequenced }) => sequenced?.sequence ?? null),
    ],
  );
}

function placeColumns(stamps: readonly (Stamp | undefined)[]): (number | null)[][] {
  return [
    stamps.map(stamp => stamp?.timestampMs ?? null),
    stamps.map(stamp => stamp?.offset ?? null),
    stamps.map(stamp => stamp?.topic ?? null),
    stamps.map(stamp => stamp?.partition ?? null),
  ];
}
