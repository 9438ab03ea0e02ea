import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { root } from '../../dev/stack/options.ts';
import { openAuthDatabase } from '../../lib/auth/index.ts';
import { connectKafka, openTopics } from '../../lib/kafka/index.ts';
import { catalogue, readConfig } from '../../lib/ops/index.ts';
import { runJob, startJob } from '../support/job.ts';
import { quietOps } from '../support/quiet-ops.ts';
import { type ScratchPostgres, scratchPostgres } from '../support/scratch-postgres.ts';
import { until } from '../support/until.ts';

const bank = join(root, 'apps/bank');
const app = { PENSTOCK_SCHEMA: join(bank, 'schema.graphql'), PENSTOCK_APP_FOLDER: bank };
const all = '--services=router,gateway,command-handler,projector';

let postgres: ScratchPostgres;
before(async () => {
  postgres = await scratchPostgres();
});
after(() => postgres?.drop());

/** All columns of all tables, and the indexes. */
async function layout(database: ScratchPostgres): Promise<unknown[]> {
  return database.query(
    `SELECT table_schema || '.' || table_name || '.' || column_name || ' ' || data_type AS name
       FROM information_schema.columns WHERE table_schema IN ('penstock', 'penstock_auth', 'bank')
     UNION SELECT schemaname || '.' || indexname FROM pg_indexes WHERE schemaname IN ('penstock', 'penstock_auth', 'bank')
     ORDER BY 1`,
  );
}

async function schemas(database: ScratchPostgres): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    `SELECT nspname AS name FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)' ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

test('tables are created for the services that are named, and for no other', async () => {
  const env = { ...app, PENSTOCK_POSTGRES_URL: postgres.url };
  const run = await runJob('setup', ['tables', '--services=router'], env);
  assert.equal(run.code, 0, run.stderr);
  assert.deepEqual(await schemas(postgres), ['penstock_auth']);
});

test('tables are created once by several at a time, and a later run changes nothing', async () => {
  const env = { ...app, PENSTOCK_POSTGRES_URL: postgres.url };
  const runs = await Promise.all([runJob('setup', ['tables', all], env), runJob('setup', ['tables', all], env)]);
  for (const { code, stderr } of runs) assert.equal(code, 0, stderr);
  assert.deepEqual(await schemas(postgres), ['bank', 'penstock', 'penstock_auth', 'views']);
  const before = await layout(postgres);
  assert.equal((await runJob('setup', ['tables', all], env)).code, 0);
  assert.deepEqual(await layout(postgres), before);
  const database = openAuthDatabase({ url: postgres.url, poolSize: 1 }, quietOps());
  await new Promise<void>(resolve => database.onAvailable(resolve));
  await database.close();
  assert.deepEqual(await layout(postgres), before, 'a router finds them as it would have made them');
});

test('a column is added to a table that others write to, and holds none of them up for long', async () => {
  // As an earlier version has made it.
  await postgres.query('ALTER TABLE penstock.command_positions DROP COLUMN leader_epoch, DROP COLUMN leader_epoch_at');
  const insert = (topic: string) =>
    `INSERT INTO penstock.command_positions (topic, partition, epoch, generation, position) VALUES ('${topic}', 0, 1, 1, 1)`;
  await postgres.query(insert('held'));
  const holder = new pg.Client({ connectionString: postgres.url });
  await holder.connect();
  await holder.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  await holder.query(`SELECT FROM penstock.command_positions WHERE topic = 'held' FOR UPDATE`);
  const job = startJob('setup', ['tables', '--services=command-handler'], {
    ...app,
    PENSTOCK_POSTGRES_URL: postgres.url,
  });
  await until('it has given way', () => /lock timeout/.test(job.said()));
  await postgres.query(insert('other'));
  await holder.query('COMMIT');
  await holder.end();
  const { code, stderr } = await job.done;
  assert.equal(code, 0, stderr);
  const columns = await postgres.query(
    `SELECT FROM information_schema.columns WHERE table_name = 'command_positions' AND column_name = 'leader_epoch'`,
  );
  assert.equal(columns.length, 1);
});

test('a right that is missing ends it with the reason', async () => {
  const role = `penstock_test_${randomBytes(6).toString('hex')}`;
  await postgres.query(`CREATE ROLE ${role} LOGIN PASSWORD '${role}'`);
  const url = new URL(postgres.url);
  [url.username, url.password] = [role, role];
  const run = await runJob('setup', ['tables', all], { ...app, PENSTOCK_POSTGRES_URL: url.href });
  await postgres.query(`DROP ROLE ${role}`);
  assert.equal(run.code, 1, run.stderr);
  assert.match(run.stderr, /permission denied/);
});

test('what is ended while it waits for PostgreSQL does not count as done', async () => {
  const job = startJob('setup', ['tables', all], { ...app, PENSTOCK_POSTGRES_URL: 'postgres://127.0.0.1:1/none' });
  await until('it waits', () => /not possible yet/.test(job.said()));
  job.kill('SIGTERM');
  assert.equal((await job.done).code, 1);
});

test('topics are created where they are missing, those for dead letters too, and a later run changes nothing', async t => {
  const name = `set-up-${randomBytes(4).toString('hex')}`;
  const env = {
    PENSTOCK_SCHEMA: `type Query { rows: [Row!]! @view(table: "rows") }
      type Row @table(name: "rows", topics: ["${name}-table"], id: ["id"]) { id: ID! }
      type Subscription { events: Row! @records(topic: "${name}-records") }`,
    PENSTOCK_KAFKA_BROKERS: process.env.TEST_KAFKA ?? '',
    PENSTOCK_KAFKA_PARTITIONS: '3',
  };
  const runs = await Promise.all([runJob('setup', ['topics', all], env), runJob('setup', ['topics', all], env)]);
  for (const { code, stderr } of runs) assert.equal(code, 0, stderr);
  const { kafka } = readConfig(catalogue, ['kafka'], { PENSTOCK_KAFKA_BROKERS: env.PENSTOCK_KAFKA_BROKERS });
  const connection = connectKafka(kafka, quietOps());
  const topics = openTopics(connection);
  t.after(async () => {
    await topics.close();
    await connection.close();
  });
  const counts = async () =>
    Promise.all(['table', 'table-dlt', 'records', 'records-dlt'].map(each => topics.partitionCount(`${name}-${each}`)));
  assert.deepEqual(await counts(), [3, 3, 3, undefined]);
  assert.equal((await runJob('setup', ['topics', all], env)).code, 0);
  const other = await runJob('setup', ['topics', all], { ...env, PENSTOCK_KAFKA_PARTITIONS: '6' });
  assert.equal(other.code, 1, other.stderr);
  assert.match(other.stderr, new RegExp(`${name}-table.* 3 partitions`));
  assert.deepEqual(await counts(), [3, 3, 3, undefined]);
});

test('a variable that does not exist is refused', async () => {
  const run = await runJob('setup', ['topics', all], { ...app, PENSTOCK_KAFKA_BROKER: 'x:1' });
  assert.equal(run.code, 1);
  assert.match(run.stderr, /PENSTOCK_KAFKA_BROKER: unknown.*PENSTOCK_KAFKA_BROKERS: required/s);
});
