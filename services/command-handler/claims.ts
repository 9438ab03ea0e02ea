import type pg from 'pg';
import type { TopicPartition } from '../../lib/kafka/index.ts';

/** A claim on one command partition: what the next transaction has to name, or it is fenced. */
export interface Claim extends TopicPartition {
  epoch: number;
  /** Next offset to be taken up. */
  position: number;
  /** Of the topic that the position is in. */
  topicId: string;
  /** Leader epoch of the record before the position; null where it is not known. */
  leaderEpoch?: number | null;
}

export interface Claimed extends Claim {
  /** The stored position was in another topic of that name: this one is taken up from its beginning. */
  anew: boolean;
}

export interface ClaimResult {
  claimed: readonly Claimed[];
  /** A later generation holds these; only a member that still heartbeats may claim them all the same. */
  stale: readonly TopicPartition[];
  /** A transaction of their last owner is under way: try again soon. */
  busy: readonly TopicPartition[];
}

/** The log that a partition is now: its first offset, and its topic's id. */
export type LogOf = (at: TopicPartition) => { start: number; topicId: string };

/**
 * Raises the epoch of each partition, which makes every earlier claim worthless. With `force`, also where a later
 * generation is stored: a group that was empty for long begins again at generation 1. A position in a topic that was
 * deleted and created again means nothing in the new one, which begins at its beginning (ADR 3): a command that was
 * decided already is recognised by its id.
 */
export async function claim(
  pool: pg.Pool,
  wanted: readonly TopicPartition[],
  generation: number,
  logOf: LogOf,
  force: boolean,
): Promise<ClaimResult> {
  // ON CONFLICT alone would wait for whoever has changed such a row and not yet committed.
  const columns = [wanted.map(({ topic }) => topic), wanted.map(({ partition }) => partition)];
  const logs = [wanted.map(at => logOf(at).start), wanted.map(at => logOf(at).topicId)];
  await pool.query({
    name: 'penstock_first_claim',
    text: `INSERT INTO penstock.command_positions (topic, partition, epoch, generation, position, topic_id)
      SELECT topic, partition, 0, 0, position, topic_id
      FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[]) AS first(topic, partition, position, topic_id)
      WHERE NOT EXISTS (
        SELECT FROM penstock.command_positions AS stored WHERE stored.topic = first.topic AND stored.partition = first.partition
      )
      ORDER BY topic COLLATE "C", partition ON CONFLICT DO NOTHING`,
    values: [...columns, ...logs],
  });
  const { rows: claimed } = await pool.query<Claimed>({
    name: 'penstock_claim',
    text: `WITH free AS MATERIALIZED (
        SELECT stored.topic, stored.partition, wanted.start, wanted.topic_id,
          COALESCE(stored.topic_id <> wanted.topic_id, false) AS anew
        FROM penstock.command_positions AS stored
        JOIN unnest($1::text[], $2::int[], $5::bigint[], $6::text[]) AS wanted(topic, partition, start, topic_id)
          ON wanted.topic = stored.topic AND wanted.partition = stored.partition
        WHERE $4 OR stored.generation <= $3
        ORDER BY stored.topic, stored.partition FOR UPDATE OF stored SKIP LOCKED
      )
      UPDATE penstock.command_positions AS stored SET epoch = stored.epoch + 1, generation = $3, topic_id = free.topic_id,
        position = CASE WHEN free.anew THEN free.start ELSE stored.position END,
        leader_epoch = CASE WHEN free.anew THEN NULL ELSE stored.leader_epoch END
      FROM free WHERE stored.topic = free.topic AND stored.partition = free.partition
      RETURNING stored.topic, stored.partition, stored.epoch::float8 AS epoch, stored.position::float8 AS position,
        stored.topic_id AS "topicId", free.anew,
        CASE WHEN stored.leader_epoch_at = stored.position THEN stored.leader_epoch END AS "leaderEpoch"`,
    values: [...columns, generation, force, ...logs],
  });
  const left = wanted.filter(at => !claimed.some(claim => isSame(claim, at)));
  if (left.length === 0) return { claimed, stale: [], busy: [] };
  const { rows: later } = await pool.query<TopicPartition>({
    name: 'penstock_stale',
    text: `SELECT stored.topic, stored.partition FROM penstock.command_positions AS stored
      JOIN unnest($1::text[], $2::int[]) AS wanted(topic, partition)
        ON wanted.topic = stored.topic AND wanted.partition = stored.partition
      WHERE stored.generation > $3 AND NOT $4`,
    values: [...columns, generation, force],
  });
  const isLater = (at: TopicPartition): boolean => later.some(other => isSame(other, at));
  return { claimed, stale: left.filter(isLater), busy: left.filter(at => !isLater(at)) };
}

function isSame(one: TopicPartition, other: TopicPartition): boolean {
  return one.topic === other.topic && one.partition === other.partition;
}
