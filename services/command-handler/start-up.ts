import type pg from 'pg';
import type { AppPlan, CommandApp } from '../../lib/app/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { PartitionCountError, type Topics, UnknownTopicError } from '../../lib/kafka/index.ts';
import type { Logger, PenstockConfig } from '../../lib/ops/index.ts';
import { migrate } from './postgres.ts';
import { pause } from './signal.ts';

/** Waiting before something that failed at start is tried again, ms. */
const retryMs = 500;

/**
 * Tries until it works; a server that is absent at start is waited for. Undefined when aborted.
 * @param tell takes the reason of each failure.
 */
export async function insist<T>(
  what: string,
  attempt: () => Promise<T>,
  log: Logger,
  signal: AbortSignal,
  tell: (reason: string) => void = () => undefined,
): Promise<T | undefined> {
  let said = '';
  while (!signal.aborted) {
    try {
      return await attempt();
    } catch (error) {
      if (isFinal(error)) throw error;
      tell(messageOf(error));
      if (messageOf(error) !== said)
        log.warn({ event: 'start_waits', reason: (said = messageOf(error)) }, `${what} is not possible yet; trying on`);
      await pause(retryMs, signal);
    }
  }
  return undefined;
}

/** Refused for good: waiting would not help. */
export class StartRefusedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'StartRefusedError';
  }
}

function isFinal(error: unknown): boolean {
  return (
    error instanceof StartRefusedError || error instanceof PartitionCountError || error instanceof UnknownTopicError
  );
}

/**
 * The partition count that all topics of the app share. Creates those that are missing where the configuration says so.
 * @throws UnknownTopicError, PartitionCountError
 */
export async function commonPartitionCount(
  topics: Pick<Topics, 'partitionCount' | 'ensure'>,
  plan: AppPlan,
  { createTopics, partitions, replicationFactor }: PenstockConfig<'kafka'>['kafka'],
): Promise<number> {
  if (createTopics) {
    const config = { 'retention.ms': '-1', 'message.timestamp.type': 'LogAppendTime' };
    await topics.ensure(plan.topics.map(({ name }) => ({ name, partitions, replicationFactor, config })));
  }
  let common: number | undefined;
  for (const { name } of plan.topics) {
    const count = await topics.partitionCount(name);
    if (count === undefined) throw new UnknownTopicError(name);
    common ??= count;
    if (count !== common) throw new PartitionCountError(name, count, common);
  }
  if (common === undefined) throw new StartRefusedError('the schema names no topic');
  return common;
}

/** Settings under which a server that crashes forgets what it has said to be committed, and what they must not be. */
const careless: Readonly<Record<string, string>> = { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' };

/** Warns of settings under which PostgreSQL may go back by a crash; it is for an operator to know whether it matters. */
export async function warnOfSettings(pool: pg.Pool, log: Logger): Promise<void> {
  const { rows } = await pool.query<{ name: string; setting: string }>(
    'SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])',
    [Object.keys(careless)],
  );
  const settings = rows.filter(({ name, setting }) => careless[name] === setting).map(({ name }) => `${name}=off`);
  if (settings.length === 0) return;
  log.warn(
    { event: 'postgres_settings', settings },
    'PostgreSQL may forget commits when it crashes: commands would then stop until the ledger is reconciled',
  );
}

/** The tables of handler and app; then whether what they hold fits the partition count. */
export async function prepareDatabase<State, Change>(
  pool: pg.Pool,
  app: CommandApp<State, Change>,
  partitionCount: number,
): Promise<void> {
  await migrate(pool, app.migrations);
  const { rows } = await pool.query<{ partitions: number; left: boolean }>(
    `WITH first AS (
       INSERT INTO penstock.command_partitions (partitions) VALUES ($1) ON CONFLICT DO NOTHING
     ) SELECT partitions, EXISTS (SELECT FROM penstock.outbox) AS left FROM penstock.command_partitions`,
    [partitionCount],
  );
  const [stored] = rows;
  if (stored === undefined || stored.partitions === partitionCount) return;
  if (stored.left) {
    throw new StartRefusedError(
      `the topics have ${partitionCount} partitions, but the outbox was written for ${stored.partitions}: drain it before growing topics`,
    );
  }
  await pool.query('UPDATE penstock.command_partitions SET partitions = $1', [partitionCount]);
}
