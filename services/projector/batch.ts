import type { TopicPartition } from '../../lib/kafka/index.ts';
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
  records: readonly ReadRecord[];
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
 * first, and only then is asked which versions are live: a swap of versions waits for us, or we see what it did.
 */
export async function applyBatch(queries: Queries, target: Target, chunks: readonly Chunk[]): Promise<BatchResult> {
  const held = new Map((await lockPositions(queries, target.scope, chunks)).map(at => [nameOf(at), at]));
  const stale = chunks.filter(chunk => !isFenced(chunk, held.get(nameOf(chunk))));
  if (stale.length > 0) return { kind: 'stale', at: stale };

  const topics = new Set(chunks.map(({ topic }) => topic));
  const versions = (await target.versions(queries)).filter(({ plan }) => plan.topics.some(topic => topics.has(topic)));
  const all = chunks.flatMap(({ records }) => records);
  const sequences = await loadSequences(queries, target.scope, all);
  // A repeat is one even where its first copy was a misfit.
  const feeding = all.filter(read => !sequences.isRepeat(read) && read.misfit === undefined);
  if (feeding.length > 0 && versions.length > 0) {
    const keys = new Set(feeding.map(({ key }) => key).filter(key => key !== ''));
    const graveyards = await loadTombstones(queries, versions, [...keys]);
    for (const version of versions) {
      const entries = feeding.map(read => entryOf(version, read));
      await writeTable(queries, version, entries, graveyards.get(version.id) ?? new Map());
    }
  }
  await sequences.save();
  await movePositions(
    queries,
    target.scope,
    chunks.map(({ topic, partition, next, records }) => {
      const last = records.at(-1)?.record;
      return { topic, partition, next, timestampMs: last?.offset === next - 1 ? last.timestampMs : -1 };
    }),
  );
  return { kind: 'applied' };
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
