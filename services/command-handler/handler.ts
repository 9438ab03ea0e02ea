import type { AppPlan, CommandApp } from '../../lib/app/index.ts';
import {
  type ControlGroup,
  type ControlGroupOptions,
  type DirectReader,
  type Lanes,
  type Topics,
  watchPartitions,
} from '../../lib/kafka/index.ts';
import type { Closable, Ops, PenstockConfig } from '../../lib/ops/index.ts';
import { requireSessions } from '../../lib/postgres/index.ts';
import { watchDatabase } from './database-watch.ts';
import { openPool } from './postgres.ts';
import { serve } from './serve.ts';
import { aborted } from './signal.ts';
import { commonPartitionCount, insist, prepareDatabase, warnOfSettings } from './start-up.ts';

export interface HandlerOptions<State, Change> {
  config: PenstockConfig<'kafka' | 'postgres' | 'handler'>;
  plan: AppPlan;
  app: CommandApp<State, Change>;
  ops: Ops;
  reader: DirectReader;
  lanes: Lanes;
  topics: Topics;
  joinGroup(options: ControlGroupOptions): Promise<ControlGroup>;
}

export interface Handler extends Closable {
  /** Resolves when closed. Rejects with what makes going on impossible, such as a topic that does not exist. */
  running: Promise<void>;
}

/** Waits for Kafka and PostgreSQL, joins the group and takes up commands until closed. */
export function startHandler<State, Change>(options: HandlerOptions<State, Change>): Handler {
  const ending = new AbortController();
  let closeParts: (() => Promise<void>) | undefined;
  const running = run();
  return {
    running,
    async close() {
      ending.abort();
      await running.catch(() => undefined);
      await closeParts?.();
      closeParts = undefined;
    },
  };

  async function run(): Promise<void> {
    const { ops, plan, app, topics, config } = options;
    const database = watchDatabase(ops.log);
    const pool = openPool(
      {
        verify: database.verify,
        address: config.postgres,
        size: config.postgres.poolSize,
        transactionTimeoutMs: config.handler.transactionTimeoutMs,
      },
      ops.log,
    );
    closeParts = () => pool.end();
    ops.readiness.set('kafka', 'not connected yet');
    ops.readiness.set('postgres', 'not connected yet');
    const count = await insist(
      'reading the topics',
      () => commonPartitionCount(topics, plan, config.kafka),
      ops.log,
      ending.signal,
      reason => ops.readiness.set('kafka', reason),
    );
    if (count === undefined) return;
    const prepare = async () => {
      await requireSessions(config.postgres);
      await prepareDatabase(pool, app, count);
    };
    await insist('preparing the database', prepare, ops.log, ending.signal, reason =>
      ops.readiness.set('postgres', reason),
    );
    await insist('reading its settings', () => warnOfSettings(pool, ops.log), ops.log, ending.signal);
    if (ending.signal.aborted) return;
    const names = [...new Set([...plan.commands.values()].map(({ topic }) => topic))];
    const unread = watchPartitions({ topics, names, partitionCount: count, ops });
    const closeServing = await serve(options, { pool, database }, count);
    closeParts = async () => {
      await unread.close();
      await closeServing();
    };
    ops.readiness.set('start', undefined);
    await aborted(ending.signal);
  }
}
