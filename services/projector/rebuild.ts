/** `npm run rebuild -- <table> [--folder .penstock]`: builds a table anew from the log, beside the one that is in use. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Registry } from 'prom-client';
import type { TablePlan } from '../../lib/app/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { connectKafka, openTopics } from '../../lib/kafka/index.ts';
import { ConfigError } from '../../lib/ops/config.ts';
import { catalogue, readConfig } from '../../lib/ops/index.ts';
import { openLog } from '../../lib/ops/log.ts';
import { VersionCache } from '../../lib/views/index.ts';
import { liveTarget } from './batch.ts';
import { buildTable, type Progress } from './build.ts';
import { withRunningStack } from './running-stack.ts';
import { openStore, type Store } from './store.ts';
import { dropRetired } from './versions.ts';

/** What the user can do something about: one line. */
class Refusal extends Error {}

const reportMs = 1_000;
/** How long to wait for snapshots that still read the old version; the projectors drop it later. */
const dropWaitMs = 20_000;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function rebuild(signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseArgs({ options: { folder: { type: 'string' } }, allowPositionals: true });
  const [table, ...more] = positionals;
  const env = await withRunningStack(process.env, values.folder ?? '.penstock');
  const config = readConfig(catalogue, ['log', 'kafka', 'postgres', 'projector'], env);
  const ops = { service: 'rebuild', log: openLog('rebuild', 'error'), metrics: new Registry() };
  const connection = connectKafka(config.kafka, ops);
  const topics = openTopics(connection);
  const store = openStore(config.postgres, ops);
  try {
    await store.requireSessions();
    const tables = await liveTables(store);
    const names = `the tables are: ${[...tables.keys()].join(', ') || 'none, no projector has run yet'}`;
    if (table === undefined || more.length > 0) throw new Refusal(`usage: npm run rebuild -- <table>; ${names}`);
    const plan = tables.get(table);
    if (!plan) throw new Refusal(`no table ${table}; ${names}`);
    say(`${table}: building a new version from ${plan.topics.join(', ')}`);
    const { batchRecords } = config.projector;
    const onProgress = progressOf(table);
    const result = await buildTable({ store, topics, tables, batchRecords, log: ops.log, signal, onProgress }, plan);
    if (result.kind === 'busy') throw new Refusal(`${table} is being built already`);
    say(`${table}: version ${result.version} is live`);
    say(`${table}: ${await dropOld(store, signal)}`);
  } finally {
    await topics.close();
    await connection.close();
    await store.close();
  }
}

/** The tables as they are now, with the schema that they were built by. */
async function liveTables(store: Store): Promise<Map<string, TablePlan>> {
  return store.transaction(async queries => {
    const [found] = await queries.query<{ is: boolean }>(
      `SELECT to_regclass('penstock.view_versions') IS NOT NULL AS is`,
    );
    const live = found?.is ? await liveTarget(new VersionCache()).versions(queries) : [];
    return new Map(live.map(({ table, plan }) => [table, plan]));
  });
}

function progressOf(table: string): (progress: Progress) => void {
  let last = Number.NEGATIVE_INFINITY;
  return ({ done, total }) => {
    if (performance.now() - last < reportMs && done < total) return;
    last = performance.now();
    const percent = total === 0 ? 100 : Math.floor((done / total) * 100);
    say(`${table}: ${done} of ${total} records (${percent} %)`);
  };
}

async function dropOld(store: Store, signal: AbortSignal): Promise<string> {
  const deadline = performance.now() + dropWaitMs;
  for (;;) {
    const left = await dropRetired(store.transaction).catch(() => 1);
    if (left === 0) return 'the old version is dropped';
    if (performance.now() > deadline) return 'the old version is still being read; a projector drops it later';
    await sleep(200, undefined, { signal });
  }
}

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());
rebuild(interrupted.signal).catch((error: unknown) => {
  const isPlain = error instanceof Refusal || (error instanceof TypeError && 'code' in error);
  const problems = error instanceof ConfigError ? error.problems.join('; ') : undefined;
  const hint = problems && 'no stack runs here, and the environment names no servers: ';
  if (interrupted.signal.aborted) process.stderr.write('interrupted: the table stays as it was\n');
  else
    process.stderr.write(
      `${isPlain ? '' : 'the table stays as it was: '}${hint ?? ''}${problems ?? messageOf(error)}\n`,
    );
  process.exitCode = 1;
});
