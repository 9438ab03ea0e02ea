import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { openAuthDatabase } from '../../../lib/auth/index.ts';
import { countFailure, subjectsOf } from '../../../lib/auth/login-backoff.ts';
import { openViews } from '../../../lib/views/index.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { scratchPostgres } from '../../support/scratch-postgres.ts';
import { until } from '../../support/until.ts';

/** One message of PostgreSQL's protocol, version 3. */
function message(type: string, body: string): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, Buffer.from(body, 'latin1')]);
}

test('a connection that breaks in the read that says it is ready ends no process', async t => {
  let connections = 0;
  const goodBye = Buffer.concat([
    message('R', '\0\0\0\0'),
    message('Z', 'I'),
    message('E', 'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0'),
  ]);
  const server = createServer(socket => {
    connections++;
    socket.on('error', () => undefined).once('data', () => socket.end(goodBye));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `postgres://postgres@127.0.0.1:${(server.address() as AddressInfo).port}/none`;
  const thrown: unknown[] = [];
  const listener = (error: unknown) => void thrown.push(error);
  process.on('uncaughtException', listener);
  t.after(() => process.off('uncaughtException', listener));

  const database = openAuthDatabase({ url, poolSize: 2 }, quietOps());
  const views = openViews({ url, poolSize: 2 }, { tables: new Map() }, quietOps());
  await assert.rejects(views.openSnapshot());
  await until('several connections', () => connections > 4);
  assert.deepEqual(thrown, []);
  await views.close();
  await database.close();
  server.close();
});

test('failures of one user that are counted at the same time all count, whatever the isolation level of the database', async t => {
  const scratch = await scratchPostgres();
  await scratch.defaultIsolation('serializable');
  const ops = quietOps();
  const database = openAuthDatabase({ url: scratch.url, poolSize: 10 }, ops);
  t.after(async () => {
    await database.close();
    await scratch.drop();
  });
  await until('PostgreSQL is prepared', () => ops.readiness.reasons().postgres === undefined);
  const subjects = subjectsOf('alice', '10.0.0.1');
  await Promise.all(Array.from({ length: 40 }, () => countFailure(database, subjects, false, 5)));
  const [counted] = await scratch.query<{ level: number }>(
    `SELECT round(level)::integer AS level FROM penstock_auth.login_failure WHERE scope = 'user'`,
  );
  assert.equal(counted?.level, 40);
});
