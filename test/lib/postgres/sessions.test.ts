import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { requireSessions, TransactionPoolingError } from '../../../lib/postgres/index.ts';
import { type PgBouncer, startPgBouncer, withoutPgBouncer } from '../../support/pgbouncer.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';

let postgres: ScratchPostgres;
before(async () => {
  postgres = await scratchPostgres();
});
after(() => postgres?.drop());

test('PostgreSQL itself keeps a connection in its session', () => requireSessions(postgres));

test('PgBouncer is taken in session mode, and refused in transaction mode with what to do', {
  skip: withoutPgBouncer,
}, async t => {
  const bouncer: PgBouncer = await startPgBouncer(postgres.url, 'session');
  t.after(() => bouncer.close());
  await requireSessions(bouncer);
  await bouncer.setMode('transaction');
  await assert.rejects(requireSessions(bouncer), TransactionPoolingError);
  await assert.rejects(requireSessions(bouncer), /PENSTOCK_POSTGRES_URL .*transaction mode.*pool_mode = session/);
  await bouncer.setMode('session');
  await requireSessions(bouncer);
});

test('PgBouncer whose pool has few sessions left is told from one in transaction mode all the same', {
  skip: withoutPgBouncer,
}, async t => {
  const bouncer: PgBouncer = await startPgBouncer(postgres.url, 'session', 2);
  t.after(() => bouncer.close());
  await requireSessions(bouncer);
  await bouncer.setMode('transaction');
  await assert.rejects(requireSessions(bouncer), TransactionPoolingError);
});

test('PostgreSQL that is away is no pooler', async () => {
  await assert.rejects(requireSessions({ url: 'postgres://nobody@127.0.0.1:1/none' }), /ECONNREFUSED/);
});
