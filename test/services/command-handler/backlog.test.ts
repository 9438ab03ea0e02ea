import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type pg from 'pg';
import { integers } from '../../../services/command-handler/binary-arrays.ts';
import { remaining } from '../../../services/command-handler/outbox-rows.ts';
import { migrate, openPool } from '../../../services/command-handler/postgres.ts';
import { openRepair, type RepairOptions } from '../../../services/command-handler/repair.ts';
import { rest } from '../../../services/command-handler/statements.ts';
import type { OutboxRow } from '../../../services/command-handler/types.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { until } from '../../support/until.ts';

let postgres: ScratchPostgres;
let pool: pg.Pool;
const { log } = quietOps();
before(async () => {
  postgres = await scratchPostgres();
  pool = openPool({ address: { url: postgres.url }, size: 4, transactionTimeoutMs: 30_000 }, log);
  await migrate(pool, []);
});
after(async () => {
  await pool.end();
  await postgres.drop();
});
beforeEach(() => postgres.query('TRUNCATE penstock.outbox'));

const fill = (partition: number, key: string, count: number, valueBytes = 2) =>
  postgres.query(
    `INSERT INTO penstock.outbox (partition, user_key, sequence, repetition, announced, topic, event_id, time_ms, value)
     SELECT $1, $2, n, 0, false, 'events', concat($2::text, n), 0, repeat('x', $4) FROM generate_series(1, $3) AS n`,
    [partition, key, count, valueBytes],
  );

interface Plan {
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: Plan[];
}

function scanned(plan: Plan): number {
  const own = (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops'];
  return (
    (plan['Relation Name'] === 'outbox' ? own : 0) + (plan.Plans ?? []).reduce((sum, each) => sum + scanned(each), 0)
  );
}

/** How many rows of the outbox a statement looks at. */
async function rowsRead(run: (client: pg.Pool) => Promise<unknown>): Promise<number> {
  let read = 0;
  const explaining = {
    async query({ text, values }: { text: string; values: unknown[] }) {
      const { rows } = await pool.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
        `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
        values,
      );
      for (const row of rows) read += scanned(row['QUERY PLAN'][0].Plan);
      return { rows: [] };
    },
  };
  await run(explaining as unknown as pg.Pool);
  return read;
}

const limit = { rows: 100, bytes: 1_000_000 };

test('of a long backlog a transaction reads no more than it may use, and its beginning', async () => {
  await fill(0, 'hot', 20_000);
  await postgres.query('ANALYZE penstock.outbox');
  const keys = [{ partition: 0, key: 'hot', above: 7 }];
  const client = await pool.connect();
  try {
    const { rows, complete } = await rest(client, keys, limit);
    assert.deepEqual([rows.length, rows[0]?.sequence, rows.at(-1)?.sequence, complete], [100, 8, 107, false]);
  } finally {
    client.release();
  }
  const read = await rowsRead(explaining => rest(explaining as unknown as pg.PoolClient, keys, limit));
  assert.ok(read > 0 && read <= 2 * limit.rows, `${read} rows are read`);
});

test('of what is left as much is read as one piece has, of one hot key and of many, in order', async () => {
  for (const key of ['hot-a', 'hot-b', 'hot-c', ...Array.from({ length: 47 }, (_, n) => `i-${n}`)])
    await fill(0, key, 500);
  for (let n = 0; n < 150; n++) await fill(1, `key-${String(n).padStart(3, '0')}`, 2);
  await postgres.query('ANALYZE penstock.outbox');
  const { rows, cut } = await remaining(pool, [0, 1, 2], 'all', { rows: 300, bytes: 3_000_000 });
  const named = rows.map(({ partition, key, sequence }) => `${partition}/${key}/${sequence}`);
  assert.deepEqual(
    named.slice(0, 100),
    Array.from({ length: 100 }, (_, index) => `0/hot-a/${index + 1}`),
  );
  assert.deepEqual(
    named.slice(100),
    Array.from({ length: 100 }, (_, n) => `1/key-${String(n >> 1).padStart(3, '0')}/${(n & 1) + 1}`),
  );
  assert.deepEqual([...cut], [0, 1]);
  const read = await rowsRead(explaining => remaining(explaining, [0], 'all', limit));
  assert.ok(read > 0 && read <= 4 * limit.rows, `${read} rows are read`);
});

function openRepairOf(t: { after(run: () => Promise<void>): void }, options: Partial<RepairOptions>) {
  const pieces: (readonly OutboxRow[])[] = [];
  const repair = openRepair({
    ...{ pool, log, owns: () => true, beginRead: () => () => {}, hasRoom: () => true, windowBytes: 12_582_912 },
    publish(rows) {
      pieces.push(rows);
      return rows;
    },
    ...options,
  });
  t.after(() => repair.close());
  return { repair, pieces };
}

test('a partition whose backlog can not be read keeps nobody from the others', async t => {
  await fill(0, 'stuck', 1);
  await fill(1, 'live', 1);
  const failing = {
    query: (statement: { values: unknown[] }) =>
      integers([1]).equals(statement.values[0] as Buffer)
        ? pool.query(statement as unknown as pg.QueryConfig)
        : Promise.reject(new Error('canceling statement due to statement timeout')),
  };
  const { repair, pieces } = openRepairOf(t, { pool: failing as unknown as pg.Pool });
  repair.request([0, 1], 'all');
  await until('the other is read', () => pieces.some(rows => rows[0]?.key === 'live'));
});

test('what is published at a time of one partition is a small part of the window', async t => {
  await fill(0, 'large', 8, 1_000_000);
  const { repair, pieces } = openRepairOf(t, { windowBytes: 16_000_000 });
  repair.request([0], 'all');
  await until('a piece', () => pieces.length > 0);
  assert.equal(pieces[0]?.length, 3, 'two megabytes, and the row that reaches beyond them');
});
