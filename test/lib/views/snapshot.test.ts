import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { PenstockError } from '../../../lib/errors.ts';
import { topicMark } from '../../../lib/replay/topic-mark.ts';
import { openViews } from '../../../lib/views/index.ts';
import { openProjectorWorld, type ProjectorWorld } from '../../support/projector-world.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { openTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';
import { inSnapshot } from '../../support/view-table.ts';

let world: ProjectorWorld;
beforeEach(async () => {
  world = await openProjectorWorld();
});
afterEach(() => world.close());

const schema = (one: string, two: string, owner = '_key') => `
  scalar SafeInt
  type Query {
    both: [Both!]! @view(table: "both")
    newest: Both @view(table: "both")
    single: [Single!]! @view(table: "single") @requiresRole(anyOf: ["all"])
  }
  type Both @table(name: "both", topics: ["${one}", "${two}"], id: ["id"], owner: "${owner}") { id: ID! n: SafeInt! }
  type Single @table(name: "single", topics: ["${one}"], id: ["id"]) { id: ID! n: SafeInt! }`;

const isUnavailable = (error: unknown) => error instanceof PenstockError && error.code === 'UNAVAILABLE';

test('rows and positions of a snapshot belong together, whatever is projected meanwhile', async () => {
  const [one, two] = [await world.topic(2), await world.topic(2)];
  const plan = world.plan(schema(one, two));
  const projector = await world.start(plan);
  const views = world.views(plan);
  let stopped = false;
  let sent = 0;
  const sending = (async () => {
    for (; !stopped; sent++)
      await world.send(sent % 2 ? one : two, 0, { key: 'k', sequence: sent + 1, json: { id: 'x', n: sent + 1 } });
  })();
  const both = plan.views.get('both');
  const single = plan.views.get('single');
  assert.ok(both && single);
  const seen = new Set<number>();
  await until(
    'many different snapshots',
    async () => {
      await inSnapshot(views, async snapshot => {
        const rows = (await snapshot.read(both, {}, { userKey: 'k', everyRow: false })) as { n: number }[];
        const before = await snapshot.position('k');
        // More has been projected by now, but not for this snapshot.
        const again = await snapshot.read(both, {}, { userKey: 'k', everyRow: false });
        const position = await snapshot.position('k');
        assert.deepEqual([again, position], [rows, before]);
        assert.deepEqual(
          position.partitions.map(({ topic, partition }) => `${topic}/${partition}`).sort(),
          [one, two].flatMap(topic => [`${topic}/0`, `${topic}/1`]).sort(),
        );
        const applied = position.partitions
          .filter(({ partition }) => partition === 0)
          .reduce((sum, { offset }) => sum + offset + 1, 0);
        const sequences = Object.values(position.sequences);
        // The newest record that was applied is the row's; all before it may not have been, the other topic's.
        const n = rows[0]?.n ?? 0;
        assert.equal(n, Math.max(0, ...sequences));
        assert.ok(applied <= 2 * n, `${applied} records for number ${n}`);
        assert.ok(position.partitions.every(({ offset, timestampMs }) => offset < 0 || timestampMs > 1e12));
        seen.add(n);
      });
      return seen.size > 20;
    },
    30_000,
  );
  stopped = true;
  await sending;
  await world.caughtUp(one, two);
  await inSnapshot(views, async snapshot => {
    await snapshot.read(single, {}, { userKey: 'k', everyRow: true });
    const position = await snapshot.position('k');
    assert.deepEqual(
      position.partitions.map(({ topic, partition }) => [topic, partition]),
      [
        [one, 0],
        [one, 1],
      ],
    );
    assert.deepEqual((await snapshot.position('somebody else')).sequences, {});
    const { topicId = '' } = (await world.topics.identity(one)) ?? {};
    assert.deepEqual(position.topicMarks, { [one]: topicMark(topicId) });
  });
  await projector.close();
});

test('a row belongs to whom its owner field names', async () => {
  const [one, two] = [await world.topic(1), await world.topic(1)];
  const plan = world.plan(schema(one, two, 'buyer'));
  const projector = await world.start(plan);
  const views = world.views(plan);
  await world.send(one, 0, { key: 'shop', json: { id: 'a', n: 1, buyer: 'alice' } });
  await world.send(one, 0, { key: 'shop', json: { id: 'b', n: 2, buyer: 17 } });
  await world.send(one, 0, { key: 'shop', json: { id: 'c', n: 3 } });
  await world.caughtUp(one);
  await world.send(two, 0, { key: 'shop', json: { id: 'a', n: 4 } });
  await world.caughtUp(two);
  assert.deepEqual(await world.read(views, plan, 'both', {}, 'alice'), [{ id: 'a', n: 4 }]);
  assert.deepEqual(await world.read(views, plan, 'newest', {}, '17'), { id: 'b', n: 2 });
  assert.deepEqual(await world.read(views, plan, 'both', {}, 'shop'), []);
  await projector.close();
});

test('before a projector has run, while all connections are taken, and without PostgreSQL, a view is unavailable', async () => {
  const [one, two] = [await world.topic(1), await world.topic(1)];
  const plan = world.plan(schema(one, two));
  const views = openViews({ url: world.postgres.url, poolSize: 1 }, plan, quietOps());
  const read = () => world.read(views, plan, 'both', {}, 'k');
  await assert.rejects(read(), isUnavailable);
  const projector = await world.start(plan);
  assert.deepEqual(await read(), []);
  const snapshot = await views.openSnapshot();
  await assert.rejects(read(), isUnavailable);
  await snapshot.close();
  assert.deepEqual(await read(), []);
  await views.close();
  await projector.close();

  const server = createServer(socket => socket.destroy());
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const ops = quietOps();
  const lost = openViews({ url: `postgres://postgres@127.0.0.1:${port}/none`, poolSize: 1 }, plan, ops);
  await assert.rejects(lost.openSnapshot(), isUnavailable);
  await until('a readiness reason', () => ops.readiness.reasons().postgres);
  await lost.close();
  await new Promise(resolve => server.close(resolve));
});

test("for a client that has gone nothing further is read, and the connection is the next one's", async () => {
  const plan = world.plan(schema(await world.topic(1), await world.topic(1)));
  const projector = await world.start(plan);
  const views = openViews({ url: world.postgres.url, poolSize: 1 }, plan, quietOps());
  const view = plan.views.get('both');
  assert.ok(view);
  const gone = new AbortController();
  const first = await views.openSnapshot(gone.signal);
  const waiting = assert.rejects(views.openSnapshot(gone.signal), isUnavailable);
  const next = world.read(views, plan, 'both', {}, 'k');
  gone.abort();
  await assert.rejects(first.read(view, {}, { userKey: 'k', everyRow: false }), isUnavailable);
  await first.close();
  await waiting;
  assert.deepEqual(await next, []);
  await views.close();
  await projector.close();
});

test('a snapshot whose connection breaks fails its own reads only', async () => {
  const [one, two] = [await world.topic(1), await world.topic(1)];
  const plan = world.plan(schema(one, two));
  const projector = await world.start(plan);
  const views = openViews({ url: world.postgres.url, poolSize: 2 }, plan, quietOps());
  const snapshot = await views.openSnapshot();
  await world.postgres.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'penstock-test-views' AND state = 'idle in transaction'`,
  );
  const view = plan.views.get('both');
  assert.ok(view);
  await assert.rejects(snapshot.read(view, {}, { userKey: 'k', everyRow: false }), isUnavailable);
  await snapshot.close();
  await snapshot.close();
  assert.deepEqual(await world.read(views, plan, 'both', {}, 'k'), []);
  await views.close();
  await projector.close();
});

test('a server that falls silent is told to be away, and a query that waits for it is given up', async () => {
  const plan = world.plan(schema(await world.topic(1), await world.topic(1)));
  const projector = await world.start(plan);
  const url = new URL(world.postgres.url);
  const proxy = await openTcpProxy({ host: url.hostname, port: Number(url.port) });
  await proxy.mend();
  url.port = String(proxy.port);
  const ops = quietOps();
  const views = openViews({ url: url.href, poolSize: 2 }, plan, ops);
  await world.read(views, plan, 'both', {}, 'k');
  await until('PostgreSQL to be there', () => ops.readiness.reasons().postgres === undefined);
  proxy.silence();
  await assert.rejects(world.read(views, plan, 'both', {}, 'k'), isUnavailable);
  await until('a readiness reason', () => ops.readiness.reasons().postgres);
  proxy.unsilence();
  await until('PostgreSQL to be back', () => ops.readiness.reasons().postgres === undefined);
  await views.close();
  await proxy.close();
  await projector.close();
});
