import type { TopicPartition } from '../../lib/kafka/index.ts';
import type { Queries } from './store.ts';

/** The scope of what projectors feed together; a version under construction has its own id as scope. */
export const liveScope = 0;

export interface StoredPosition extends TopicPartition {
  next: number;
  epoch: number;
  generation: number;
  /** Of the topic that the position is in; null where it is not known. */
  topicId: string | null;
  /** Leader epoch of the record before the position; null where it is not known. */
  leaderEpoch: number | null;
}

/** A projector of a release that does not know the epoch moves `next` and leaves it behind. */
export const leaderEpochColumn = 'CASE WHEN leader_epoch_at = next THEN leader_epoch END AS "leaderEpoch"';
const columns = `topic, partition, next, epoch, generation, topic_id AS "topicId", ${leaderEpochColumn}`;

/** Locks positions, always in the same order. Those that do not exist are left out. */
export async function lockPositions(
  queries: Queries,
  scope: number,
  at: readonly TopicPartition[],
): Promise<StoredPosition[]> {
  return queries.query<StoredPosition>(
    `SELECT ${columns} FROM penstock.view_positions
     WHERE scope = $1 AND (topic, partition) IN (SELECT * FROM unnest($2::text[], $3::integer[]))
     ORDER BY topic COLLATE "C", partition FOR UPDATE`,
    [scope, at.map(({ topic }) => topic), at.map(({ partition }) => partition)],
  );
}

/** Every position of these topics, as they are. */
export async function readTopics(
  queries: Queries,
  scope: number,
  topics: readonly string[],
): Promise<StoredPosition[]> {
  return queries.query<StoredPosition>(
    `SELECT ${columns} FROM penstock.view_positions
     WHERE scope = $1 AND topic = ANY($2::text[]) ORDER BY topic COLLATE "C", partition`,
    [scope, topics],
  );
}

/** Locks every position of these topics, in the same order. */
export async function lockTopics(
  queries: Queries,
  scope: number,
  topics: readonly string[],
): Promise<StoredPosition[]> {
  return queries.query<StoredPosition>(
    `SELECT ${columns} FROM penstock.view_positions
     WHERE scope = $1 AND topic = ANY($2::text[]) ORDER BY topic COLLATE "C", partition FOR UPDATE`,
    [scope, topics],
  );
}

/** Creates positions where there are none. */
export async function insertPositions(
  queries: Queries,
  scope: number,
  starts: readonly (TopicPartition & { offset: number })[],
): Promise<void> {
  await queries.query(
    `INSERT INTO penstock.view_positions (scope, topic, partition, next)
     SELECT $1, * FROM unnest($2::text[], $3::integer[], $4::bigint[]) ON CONFLICT DO NOTHING`,
    [
      scope,
      starts.map(({ topic }) => topic),
      starts.map(({ partition }) => partition),
      starts.map(({ offset }) => offset),
    ],
  );
}

/** `timestampMs`, `leaderEpoch`: of the record just before `next`; −1, undefined where it is not known. */
export async function movePositions(
  queries: Queries,
  scope: number,
  moves: readonly (TopicPartition & { next: number; timestampMs: number; leaderEpoch: number | undefined })[],
): Promise<void> {
  await queries.query(
    `UPDATE penstock.view_positions AS held SET next = moved.next, timestamp_ms = moved.timestamp_ms,
       leader_epoch = moved.leader_epoch, leader_epoch_at = moved.next
     FROM unnest($2::text[], $3::integer[], $4::bigint[], $5::bigint[], $6::integer[])
       AS moved (topic, partition, next, timestamp_ms, leader_epoch)
     WHERE held.scope = $1 AND held.topic = moved.topic AND held.partition = moved.partition`,
    [
      scope,
      moves.map(({ topic }) => topic),
      moves.map(({ partition }) => partition),
      moves.map(({ next }) => next),
      moves.map(({ timestampMs }) => timestampMs),
      moves.map(({ leaderEpoch = -1 }) => (leaderEpoch < 0 ? null : leaderEpoch)),
    ],
  );
}

export interface ClaimedPosition extends TopicPartition {
  next: number;
  epoch: number;
  /** Of the topic that the position is in. */
  topicId: string;
  leaderEpoch?: number | null;
}

export type Claims =
  | { kind: 'claimed'; positions: readonly ClaimedPosition[] }
  /** Somebody of a later generation holds one of them: we are a zombie, or the group has begun to count anew. */
  | { kind: 'stale' };

/**
 * Raises the epoch of positions, so that whoever moved them before can no more.
 * @param ids of the topics that have these names now; a position that knows none takes it over.
 * @param generation the claimant's, or undefined for one that has just been found a member in spite of a STALE.
 */
export async function claimPositions(
  queries: Queries,
  at: readonly TopicPartition[],
  ids: ReadonlyMap<string, string>,
  generation: number,
  isProven: boolean,
): Promise<Claims> {
  const held = await lockPositions(queries, liveScope, at);
  if (!isProven && held.some(position => position.generation > generation)) return { kind: 'stale' };
  await queries.query(
    `UPDATE penstock.view_positions AS held SET epoch = epoch + 1, generation = $3,
       topic_id = COALESCE(held.topic_id, claimed.topic_id)
     FROM unnest($1::text[], $2::integer[], $4::text[]) AS claimed (topic, partition, topic_id)
     WHERE held.scope = ${liveScope} AND held.topic = claimed.topic AND held.partition = claimed.partition`,
    [
      held.map(({ topic }) => topic),
      held.map(({ partition }) => partition),
      generation,
      held.map(({ topic }) => ids.get(topic)),
    ],
  );
  return {
    kind: 'claimed',
    positions: held.map(({ topic, partition, next, epoch, topicId, leaderEpoch }) => ({
      ...{ topic, partition, next, leaderEpoch },
      epoch: epoch + 1,
      topicId: topicId ?? ids.get(topic) ?? '',
    })),
  };
}

/** Puts a live position on another log's end, together with the sequences that a build has found in that log. */
export async function restartPosition(
  queries: Queries,
  { topic, partition, topicId }: TopicPartition & { topicId: string | undefined },
  next: number,
  fromScope: number,
): Promise<void> {
  await movePositions(queries, liveScope, [{ topic, partition, next, timestampMs: -1, leaderEpoch: undefined }]);
  await queries.query(
    `UPDATE penstock.view_positions AS live SET topic_id = $3,
       leader_epoch = (SELECT built.leader_epoch FROM penstock.view_positions AS built
         WHERE built.scope = $4 AND built.topic = $1 AND built.partition = $2 AND built.next = live.next
           AND built.leader_epoch_at = built.next)
     WHERE live.scope = ${liveScope} AND live.topic = $1 AND live.partition = $2`,
    [topic, partition, topicId, fromScope],
  );
  await queries.query(
    `DELETE FROM penstock.view_sequences WHERE scope = ${liveScope} AND topic = $1 AND partition = $2`,
    [topic, partition],
  );
  await queries.query(
    `INSERT INTO penstock.view_sequences (scope, key_hash, topic, partition, sequence)
     SELECT ${liveScope}, key_hash, topic, partition, sequence FROM penstock.view_sequences
     WHERE scope = $3 AND topic = $1 AND partition = $2`,
    [topic, partition, fromScope],
  );
}
