import type pg from 'pg';
import { Registry } from 'prom-client';
import { type AppPlan, loadApp } from '../../lib/app/index.ts';
import {
  connectKafka,
  describeAssignment,
  openTopics,
  type TopicPartition,
  type Topics,
} from '../../lib/kafka/index.ts';
import { catalogue, type PenstockConfig, readConfig } from '../../lib/ops/index.ts';
import { openLog } from '../../lib/ops/log.ts';
import { openPgPool } from '../../lib/postgres/index.ts';
import { bigintegers, integers, texts } from './binary-arrays.ts';
import { type ReconciledLog, readFault, reconciledLogs, recordFault } from './ledger-fault.ts';
import { openTransaction } from './open-transaction.ts';
import { migrate } from './postgres.ts';
import { type Lost, openFindings, ReconcileRefusedError, scanLog } from './reconcile-scan.ts';

/**
 * What becomes of commands whose verdict is in the log and not in the ledger. Both leave positions as they are: commands behind them are
 * read again. `replay`: they are decided anew, under new sequences, and may end otherwise than clients were told.
 * `skip`: the verdict in the log becomes the ledger's, so that they are not decided again; what they changed stays lost.
 */
export type Resolution = 'replay' | 'skip';

export interface ReconcileOptions {
  /** Undefined: only looks, and changes nothing. */
  apply: Resolution | undefined;
  /** Reads event topics only from this time on, ms since the epoch; undefined: all of them. */
  sinceMs: number | undefined;
  onLost(lost: Lost): void;
}

export interface ReconcileReport {
  /** Why commands are stopped, where a handler has found out. */
  fault: string | undefined;
  recordsRead: number;
  lostVerdicts: number;
  otherVerdicts: number;
  lostEvents: number;
  /** Keys whose sequence in the ledger is below that in the log. */
  keysBehind: number;
  /** Commands that will be read when handlers start: those that nobody has decided, and the lost ones. */
  commandsToRead: number;
  /** Commands behind the ledger's positions that are gone from the log: nobody can decide them any more. */
  commandsGone: number;
  applied: Resolution | undefined;
}

export interface Reconciling {
  /** @throws ReconcileRefusedError; what was changed by then is the fence, and the next call goes on. */
  run(options: ReconcileOptions): Promise<ReconcileReport>;
  close(): Promise<void>;
}

const sections = ['app', 'kafka', 'postgres', 'handler'] as const;

/** @throws ConfigError */
export async function openReconciling(env: Readonly<Record<string, string | undefined>>): Promise<Reconciling> {
  const config: PenstockConfig<(typeof sections)[number]> = readConfig(catalogue, sections, env);
  const plan = await loadApp(config.app.schema);
  const ops = { service: 'ledger-reconcile', log: openLog('ledger-reconcile', 'error'), metrics: new Registry() };
  const connection = connectKafka(config.kafka, ops);
  const topics = openTopics(connection);
  const pool = openPgPool(config.postgres, { max: 1 });
  pool.on('error', () => undefined); // the next query says it

  async function refuseMembers(): Promise<void> {
    const { members = [] } = (await describeAssignment(connection, config.handler.group)) ?? {};
    if (members.length === 0) return;
    const who = members.map(({ address, memberId }) => address || memberId).join(', ');
    throw new ReconcileRefusedError(
      `${members.length} command handlers are members of the group ${config.handler.group} (${who}): stop them first`,
    );
  }

  return {
    async run(options) {
      if (options.apply !== undefined) await refuseMembers();
      await migrate(pool, []);
      const client = await pool.connect();
      try {
        return await reconcile({ client, topics, plan, refuseMembers }, options);
      } finally {
        client.release(true);
      }
    },
    async close() {
      await topics.close();
      await connection.close();
      await pool.end();
    },
  };
}

interface Parts {
  client: pg.ClientBase;
  topics: Topics;
  plan: AppPlan;
  refuseMembers(): Promise<void>;
}

async function reconcile(parts: Parts, options: ReconcileOptions): Promise<ReconcileReport> {
  const { client, topics, plan } = parts;
  const { apply, sinceMs, onLost } = options;
  const known = await readFault(client);
  // Handlers that are cut off from the group can't commit from here on, and none that starts claims anything.
  if (apply !== undefined) await recordFault(client, 'ledger-reconcile is at work, or was interrupted: run it again');
  const commandTopics = new Set([...plan.commands.values()].map(({ topic }) => topic));
  const eventTopics = plan.topics.map(({ name }) => name).filter(name => !commandTopics.has(name));
  const counts = { verdict: 0, 'other-verdict': 0, event: 0 };
  const scan = {
    topics,
    client,
    onLost(lost: Lost): void {
      counts[lost.kind]++;
      onLost(lost);
    },
  };
  await openFindings(client);
  const logs: ReconciledLog[] = [];
  let recordsRead = 0;
  const done = await reconciledLogs(client);
  for (const topic of eventTopics) {
    for (const { partition, start, end, topicId } of await logsOf(topics, topic)) {
      const earlier = done.find(
        each => each.topic === topic && each.partition === partition && each.topicId === topicId,
      );
      const since = sinceMs === undefined ? start : await topics.offsetAt({ topic, partition }, sinceMs);
      const from = Math.max(start, since, earlier?.endOffset ?? 0);
      recordsRead += await scanLog(scan, { topic, partition }, { start: from, end });
      logs.push({ topic, partition, topicId, endOffset: end });
    }
  }
  const commands = { toRead: 0, gone: 0 };
  for (const topic of commandTopics) {
    const positions = await positionsOf(client, topic);
    for (const { partition, start, end, topicId } of await logsOf(topics, topic)) {
      const position = positions.get(`${partition}/${topicId}`) ?? start;
      commands.toRead += Math.max(0, end - Math.max(start, position));
      commands.gone += Math.max(0, start - position);
      // A log that was cut may end before what others remember of it.
      const cut = done.find(each => each.topic === topic && each.partition === partition && each.topicId === topicId);
      logs.push({ topic, partition, topicId, endOffset: Math.max(end, cut?.endOffset ?? 0) });
    }
  }
  const { rows } = await client.query<{ count: number }>('SELECT count(*)::float8 AS count FROM log_sequences');
  if (apply !== undefined) {
    await parts.refuseMembers();
    await settle(client, apply, logs);
  }
  return {
    ...{ fault: known?.reason, recordsRead, applied: apply, keysBehind: rows[0]?.count ?? 0 },
    ...{ lostVerdicts: counts.verdict, otherVerdicts: counts['other-verdict'], lostEvents: counts.event },
    ...{ commandsToRead: commands.toRead, commandsGone: commands.gone },
  };
}

/** All or nothing: handlers may claim again when it is committed. */
async function settle(client: pg.ClientBase, apply: Resolution, logs: readonly ReconciledLog[]): Promise<void> {
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  await client.query(
    `INSERT INTO penstock.key_sequences AS stored (user_key, sequence) SELECT user_key, sequence FROM log_sequences
     ORDER BY user_key ON CONFLICT (user_key) DO UPDATE SET sequence = GREATEST(stored.sequence, excluded.sequence)`,
  );
  if (apply === 'skip')
    await client.query('INSERT INTO penstock.verdicts SELECT * FROM log_verdicts ON CONFLICT DO NOTHING');
  await client.query(
    `INSERT INTO penstock.reconciled_logs (topic, partition, topic_id, end_offset)
     SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[])
     ON CONFLICT (topic, partition) DO UPDATE SET topic_id = excluded.topic_id, end_offset = excluded.end_offset`,
    [
      texts(logs.map(({ topic }) => topic)),
      integers(logs.map(({ partition }) => partition)),
      texts(logs.map(({ topicId }) => topicId)),
      bigintegers(logs.map(({ endOffset }) => endOffset)),
    ],
  );
  await client.query('DELETE FROM penstock.ledger_fault');
  await client.query('COMMIT');
}

async function logsOf(
  topics: Topics,
  topic: string,
): Promise<{ partition: number; topicId: string; start: number; end: number }[]> {
  const identity = await topics.identity(topic);
  if (identity === undefined) throw new ReconcileRefusedError(`topic ${topic} does not exist`);
  const partitions = [...Array(identity.partitions).keys()];
  const open = await openTransaction(topics, topic, await topics.highWatermarks(topic, partitions));
  if (open !== undefined) throw new ReconcileRefusedError(open);
  const bounds = await topics.offsets(topic, partitions);
  return [...bounds].map(([partition, bound]) => ({ partition, topicId: identity.topicId, ...bound }));
}

/** By `partition/topic id`: a position in a topic of that name that is gone means nothing. */
async function positionsOf(client: pg.ClientBase, topic: TopicPartition['topic']): Promise<Map<string, number>> {
  const { rows } = await client.query<{ at: string; position: number }>(
    `SELECT concat(partition, '/', topic_id) AS at, position::float8 AS position FROM penstock.command_positions WHERE topic = $1`,
    [topic],
  );
  return new Map(rows.map(({ at, position }) => [at, position]));
}
