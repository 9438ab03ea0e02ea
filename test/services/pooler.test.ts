import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { openAuthDatabase } from '../../lib/auth/index.ts';
import { openViews } from '../../lib/views/index.ts';
import { listen } from '../../services/command-handler/notifications.ts';
import { type PgBouncer, startPgBouncer, withoutPgBouncer } from '../support/pgbouncer.ts';
import { openProjectorWorld } from '../support/projector-world.ts';
import { quietOps } from '../support/quiet-ops.ts';
import { type ScratchPostgres, scratchPostgres } from '../support/scratch-postgres.ts';
import { until } from '../support/until.ts';
import { openStage } from './command-handler/stage.ts';

const skip = withoutPgBouncer;
const refusal = /^PENSTOCK_POSTGRES_URL leads to a pooler in transaction mode: .* pool_mode = session/;

let postgres: ScratchPostgres;
let bouncer: PgBouncer;
before(async () => {
  if (skip !== false) return;
  postgres = await scratchPostgres();
  bouncer = await startPgBouncer(postgres.url, 'transaction');
});
after(async () => {
  await bouncer?.close();
  await postgres?.drop();
});

test('routers and views refuse a pooler in transaction mode, and work once it keeps sessions', { skip }, async () => {
  const own = await startPgBouncer(postgres.url, 'transaction');
  const [ofAuth, ofViews] = [quietOps(), quietOps()];
  const config = { url: own.url, poolSize: 2 };
  const database = openAuthDatabase(config, ofAuth);
  const views = openViews(config, { tables: new Map() }, ofViews);
  for (const { readiness } of [ofAuth, ofViews]) {
    await until('it is refused', () => refusal.test(readiness.reasons().postgres ?? ''));
  }
  await assert.rejects(database.query('SELECT 1'), { code: 'UNAVAILABLE' });
  await assert.rejects(views.openSnapshot(), { code: 'UNAVAILABLE' });
  await own.setMode('session');
  for (const { readiness } of [ofAuth, ofViews]) {
    await until('it is taken', () => readiness.reasons().postgres === undefined);
  }
  assert.deepEqual(await database.query('SELECT 1 AS one'), [{ one: 1 }]);
  await views.close();
  await database.close();
  await own.close();
});

test('a projector refuses a pooler in transaction mode', { skip }, async () => {
  const world = await openProjectorWorld();
  const topic = await world.topic(1);
  const plan = world.plan(`type Query { rows: [Row!]! @view(table: "rows") }
    type Row @table(name: "rows", topics: ["${topic}"], id: ["id"]) { id: ID! }`);
  const projector = await world.start(plan, { postgresUrl: bouncer.url });
  await until('it is refused', () => refusal.test(projector.ops.readiness.reasons().postgres ?? ''));
  await world.close();
});

test('a handler refuses a pooler in transaction mode', { skip }, async t => {
  const stage = await openStage();
  t.after(() => stage.close());
  const handler = await stage.start({ PENSTOCK_POSTGRES_URL: bouncer.url });
  await until('its admin port', () => handler.admin !== '');
  await until('it is refused', async () => refusal.test((await handler.reasons()).postgres ?? ''));
  handler.signal('SIGTERM');
  assert.equal(await handler.exited, 0);
});

test('notifications whose session is given to somebody else are told, not missed', { skip }, async () => {
  const ops = quietOps();
  const notifications = listen({ address: bouncer, ops, onRows: () => undefined });
  await until('it listens', () => ops.readiness.reasons().postgres === undefined);
  const others = [1, 2, 3].map(() => new pg.Client({ connectionString: bouncer.url }));
  for (const other of others) {
    await other.connect();
    await other.query('BEGIN'); // the session that was used last
  }
  await until('it is refused', () => refusal.test(ops.readiness.reasons().postgres ?? ''));
  for (const other of others) await other.end();
  await notifications.close();
});
