import type { TopicPartition } from '../../lib/kafka/index.ts';
import { allOf } from '../../lib/postgres/index.ts';
import { liveVersionsSql, type TableVersion, type VersionCache, type VersionRow } from '../../lib/views/index.ts';
import { liveScope, lockPositions, movePositions, type StoredPosition } from './positions.ts';
import { entryOf, type ReadRecord } from './reading.ts';
import { loadSequences } from './sequences.ts';
import type { Queries } from './store.ts';
import { writeTable } from './table-writer.ts';
import { loadTombstones } from './tombstones.ts';

/** Consecutive records of one partition. */
export interface Chunk extends TopicPartition {
  /** Where the position must stand. */
  from: number;
  /** Who may move it. */
  epoch: number;
  /** Where the position goes. */
  next: number;
  /** Where reading came to, and the leader epoch of the record before that. */
  read?: ReadPoint | undefined;
  records: readonly ReadRecord[];
}

/** An offset, and the leader epoch of the record before it. */
export interface ReadPoint {
  next: number;
  lastEpoch: number | undefined;
}

export type BatchResult =
  | { kind: 'applied' }
  /** These positions are not where we left them: nothing was changed. */
  | { kind: 'stale'; at: readonly TopicPartition[] };

/** What a batch feeds, and under which scope its positions and sequences are kept. */
export interface Target {
  scope: number;
  versions(queries: Queries): Promise<readonly TableVersion[]>;
}

/**
 * Applies chunks in one transaction: rows, sequences and positions change together or not at all. Positions are locked
 * first, and only then is asked which versions are live: a swap of versions waits for us, or we see what it did. What
 * needs no answer of another statement travels with it: four round trips, as long as no row appears under our hands.
 */
export async function applyBatch(queries: Queries, target: Target, chunks: readonly Chunk[]): Promise<BatchResult> {
  const all = chunks.flatMap(({ records }) => records);
  const [positions, everyVersion, sequences, tombstones] = await allOf([
    lockPositions(queries, target.scope, chunks),
    target.versions(queries),
    loadSequences(queries, target.scope, all),
    loadTombstones(queries, keysOf(all)),
  ]);
  const held = new Map(positions.map(at => [nameOf(at), at]));
  const stale = chunks.filter(chunk => !isFenced(chunk, held.get(nameOf(chunk))));
  if (stale.length > 0) return { kind: 'stale', at: stale };

  const topics = new Set(chunks.map(({ topic }) => topic));
  const versions = everyVersion.filter(({ plan }) => plan.topics.some(topic => topics.has(topic)));
  // A repeat is one even where its first copy was a misfit.
  const feeding = all.filter(read => !sequences.isRepeat(read) && read.misfit === undefined);
  await allOf([
    ...versions.map(version => {
      const entries = feeding.map(read => entryOf(version, read));
      return writeTable(queries, version, entries, tombstones.get(version.id) ?? new Map());
    }),
    sequences.save(),
    movePositions(
      queries,
      target.scope,
      chunks.map(({ topic, partition, next, records, read }) => {
        const last = records.at(-1)?.record;
        const before = last?.offset === next - 1 ? last : undefined;
        const leaderEpoch = before?.leaderEpoch ?? (read?.next === next ? read.lastEpoch : undefined);
        return { topic, partition, next, timestampMs: before?.timestampMs ?? -1, leaderEpoch };
      }),
    ),
  ]);
  return { kind: 'applied' };
}

function keysOf(records: readonly ReadRecord[]): string[] {
  return [...new Set(records.map(({ key }) => key).filter(key => key !== ''))];
}

/** All live versions of the database, as a transaction sees them now. */
export function liveTarget(cache: VersionCache): Target {
  return {
    scope: liveScope,
    async versions(queries) {
      const versions: TableVersion[] = [];
      for (const row of await queries.query<VersionRow>(liveVersionsSql)) {
        versions.push(await cache.get(row, (sql, values) => queries.query(sql, values)));
      }
      return versions;
    },
  };
}

function isFenced(chunk: Chunk, held: StoredPosition | undefined): boolean {
  return held !== undefined && held.epoch === chunk.epoch && held.next === chunk.from;
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
