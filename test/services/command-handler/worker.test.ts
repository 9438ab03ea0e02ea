import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import type pg from 'pg';
import pino from 'pino';
import { Registry } from 'prom-client';
import { type AppPlan, type CommandApp, loadApp } from '../../../lib/app/index.ts';
import type { Batch } from '../../../services/command-handler/batch.ts';
import { claim } from '../../../services/command-handler/claims.ts';
import { openCleaner } from '../../../services/command-handler/cleaner.ts';
import { openMetrics } from '../../../services/command-handler/metrics.ts';
import { openOutbox } from '../../../services/command-handler/outbox.ts';
import { migrate, openPool } from '../../../services/command-handler/postgres.ts';
import { processBatch } from '../../../services/command-handler/process-batch.ts';
import type { CommandIntake, DeadIntake } from '../../../services/command-handler/types.ts';
import { startWorker } from '../../../services/command-handler/worker.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { until } from '../../support/until.ts';

let plan: AppPlan;
let postgres: ScratchPostgres;
let pool: pg.Pool;
const log = pino({ level: 'silent' });

/** Stores numbers; PostgreSQL refuses what is none, `decide` what is negative, and `reject` what is hopeless. */
const numbers: CommandApp<undefined, string> = {
  migrations: [
    'CREATE SCHEMA IF NOT EXISTS numbers',
    'CREATE TABLE IF NOT EXISTS numbers.numbers (number integer NOT NULL)',
  ],
  load: () => Promise.resolve(undefined),
  decide(_, { id, arguments: { number } }) {
    if (String(number).startsWith('-')) throw new Error('negative');
    return { feedback: { commandId: id, reason: null }, verdict: 'accepted', changes: [String(number)], events: [] };
  },
  async save(queries, changes) {
    await queries.query('INSERT INTO numbers.numbers SELECT unnest($1::text[])::integer', [changes]);
  },
  reject(commandId, reason, command) {
    if (command?.arguments.number === 'hopeless') throw new Error('not even that');
    return { commandId, reason };
  },
};

before(async () => {
  plan = await loadApp('apps/bank');
  postgres = await scratchPostgres();
  pool = openPool({ address: { url: postgres.url }, size: 4, transactionTimeoutMs: 3_000 }, log);
  await migrate(pool, numbers.migrations);
});
after(async () => {
  await pool.end();
  await postgres.drop();
});

/** Lets a worker settle one batch of these numbers, and tells what became of it. */
async function settle(given: readonly string[], epochOffset = 0, connection = pool) {
  await postgres.query(
    'TRUNCATE numbers.numbers, penstock.verdicts, penstock.outbox, penstock.key_sequences, penstock.command_positions',
  );
  const { claimed } = await claim(
    pool,
    [{ topic: 'commands', partition: 0 }],
    1,
    () => ({ start: 0, topicId: 'one' }),
    false,
  );
  const epoch = (claimed[0]?.epoch ?? 0) + epochOffset;
  const intakes = given.map(
    (number, offset): CommandIntake => ({
      kind: 'command',
      at: { topic: 'commands', partition: 0, offset },
      ...{ timestampMs: 1, sizeBytes: 1, feedbackTopic: 'verdicts', traceparent: undefined, refusal: undefined },
      command: { id: `c-${offset}`, type: 'store', userKey: 'alice', arguments: { number }, timeMs: 1 },
    }),
  );
  const batches: Batch[] = [
    { topic: 'commands', partition: 0, epoch, fromOffset: 0, toOffset: given.length, intakes },
  ].map(slice => [slice]);
  const outbox = openOutbox();
  outbox.gain(0);
  const cleaner = openCleaner(outbox, pool, log);
  const buried: DeadIntake[] = [];
  const distrusted: (readonly number[] | undefined)[] = [];
  const published: string[] = [];
  const worker = startWorker({
    ...{ log, cleaner, batchCommands: 100, spans: undefined, metrics: openMetrics(new Registry(), () => 0) },
    feed: { take: () => batches.shift() },
    deadLetters: intake => Promise.resolve(void buried.push(intake)),
    process: (batch, acknowledged) =>
      processBatch(
        {
          ...{ pool: connection, app: numbers, plan, outbox, partitionOf: () => 0, now: () => 1, uuid: randomUUID },
          ...{ maxValueBytes: 10_000, onFault: () => undefined },
        },
        batch,
        acknowledged,
      ),
    publish: ({ own }) =>
      published.push(...own.map(({ sequence, value }) => `${sequence} ${JSON.parse(value).reason ?? 'fine'}`)),
    distrust: partitions => void distrusted.push(partitions),
  });
  worker.wake();
  const position = async (): Promise<number> =>
    (await postgres.query<{ position: number }>('SELECT position::int FROM penstock.command_positions'))[0]?.position ??
    -1;
  await until('the batch is settled', async () => distrusted.length > 0 || (await position()) === given.length);
  await worker.close();
  await cleaner.close();
  const stored = await postgres.query<{ number: number }>('SELECT number FROM numbers.numbers ORDER BY number');
  return { stored: stored.map(({ number }) => number), buried, distrusted, published, position: await position() };
}

test('a command that cannot be saved is found by halving, refused, and all others take effect in order', async () => {
  const { stored, published, buried } = await settle(['1', '2', 'three', '4', '5', '6', 'seven', '8', '9']);
  assert.deepEqual(stored, [1, 2, 4, 5, 6, 8, 9]);
  const expected = ['fine', 'fine', 'internal error', 'fine', 'fine', 'fine', 'internal error', 'fine', 'fine'];
  assert.deepEqual(
    published,
    expected.map((reason, index) => `${index + 1} ${reason}`),
  );
  assert.deepEqual(buried, []);
});

test('a command whose decision throws is refused within its batch', async () => {
  const { stored, published } = await settle(['1', '-2', '3']);
  assert.deepEqual(stored, [1, 3]);
  assert.deepEqual(published, ['1 fine', '2 internal error', '3 fine']);
});

test('a command that the app can neither decide nor refuse goes to the dead letters, and the partition goes on', async () => {
  const { stored, buried, position } = await settle(['1', 'hopeless', '3']);
  assert.deepEqual(stored, [1, 3]);
  assert.deepEqual(
    buried.map(({ at, exception }) => [at.offset, exception]),
    [[1, 'UndecidableCommand']],
  );
  assert.equal(position, 3);
});

test('a fenced batch has no effect, and its partitions are claimed again', async () => {
  const { stored, distrusted, published } = await settle(['1'], 1);
  assert.deepEqual([stored, distrusted, published], [[], [[0]], []]);
});

test('when PostgreSQL is away nothing that memory says is trusted any more', async () => {
  const nowhere = openPool(
    { address: { url: 'postgres://127.0.0.1:1/none' }, size: 1, transactionTimeoutMs: 1_000 },
    log,
  );
  const { stored, distrusted } = await settle(['1'], 0, nowhere);
  assert.deepEqual([stored, distrusted], [[], [undefined]]);
  await nowhere.end();
});
