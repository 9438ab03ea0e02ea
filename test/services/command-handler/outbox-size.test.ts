import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { Registry } from 'prom-client';
import { gaugeOutbox } from '../../../services/command-handler/metrics.ts';
import { watchOutboxSize } from '../../../services/command-handler/outbox-size.ts';
import { migrations } from '../../../services/command-handler/schema.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { until } from '../../support/until.ts';

let scratch: ScratchPostgres;
let pool: pg.Pool;
before(async () => {
  scratch = await scratchPostgres();
  pool = new pg.Pool({ connectionString: scratch.url, max: 1 });
  for (const statement of migrations) await pool.query(statement);
});
after(async () => {
  await pool.end();
  await scratch.drop();
});

test('the rows of the partitions that are held are counted, with the age of the oldest', async () => {
  const insert = `INSERT INTO penstock.outbox (partition, user_key, sequence, repetition, announced, topic, event_id, time_ms, value, written_at)
    SELECT $1, 'alice', sequence, 0, false, 't', 'e', 0, '{}', clock_timestamp() - sequence * interval '1 minute'
    FROM generate_series(1, $2) AS sequence`;
  await pool.query(insert, [3, 5]);
  await pool.query(insert, [4, 60]);
  const registry = new Registry();
  let held = [3, 7];
  const watch = watchOutboxSize(pool, () => held, quietOps().log, 20);
  gaugeOutbox(registry, watch.size);
  await until('rows are counted', () => watch.size().records === 5);
  const { oldestSeconds } = watch.size();
  assert.ok(oldestSeconds >= 300 && oldestSeconds < 360);
  const text = await registry.metrics();
  assert.match(text, /^penstock_outbox_records 5$/m);
  assert.match(text, /^penstock_outbox_oldest_seconds 3\d\d/m);
  held = [7];
  await until('none is left', () => watch.size().records === 0);
  assert.equal(watch.size().oldestSeconds, 0);
  await watch.close();
});
