import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { promisify } from 'node:util';
import type { AppPlan } from '../../../lib/app/index.ts';
import type { Views } from '../../../lib/views/index.ts';
import { buildTable } from '../../../services/projector/build.ts';
import { liveScope } from '../../../services/projector/positions.ts';
import { openStore, type Queries, type Store } from '../../../services/projector/store.ts';
import { dropRetired } from '../../../services/projector/versions.ts';
import { openProjectorWorld, type ProjectorWorld } from '../../support/projector-world.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { kafkaAddress } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

let world: ProjectorWorld;
let store: Store;
beforeEach(async () => {
  world = await openProjectorWorld();
  store = openStore({ url: world.postgres.url, poolSize: 3 }, quietOps('rebuild'));
});
afterEach(async () => {
  await store.close();
  await world.close();
});

const counters = (topic: string, more = '') => `
  scalar SafeInt
  type Query { counters: [Counter!]! @view(table: "counter") @requiresRole(anyOf: ["all"]) }
  type Counter @table(name: "counter", topics: ["${topic}"], id: ["name"]) { name: ID! n: SafeInt! ${more} }`;

function build(plan: AppPlan, more: Partial<Parameters<typeof buildTable>[0]> = {}) {
  const table = plan.tables.get('counter');
  assert.ok(table);
  const context = { store, topics: world.topics, tables: plan.tables, batchRecords: 200, log: quietOps().log };
  return buildTable({ ...context, signal: new AbortController().signal, onProgress: () => undefined, ...more }, table);
}

/** Keeps a counter going up until it is stopped; returns what it has reached. */
function count(topic: string, name: string, partition: number) {
  let stopped = false;
  let reached = 0;
  const counting = (async () => {
    while (!stopped) {
      const sends = [...Array(5).keys()].map(index =>
        world.send(topic, partition, { key: name, json: { name, n: reached + index + 1 } }),
      );
      await Promise.all(sends);
      reached += 5;
    }
    return reached;
  })();
  return {
    stop() {
      stopped = true;
      return counting;
    },
  };
}

/** Reads the counters over and over; fails where one is missing or goes back. */
function watchCounters(views: Views, plan: AppPlan, names: readonly string[]) {
  let stopped = false;
  let reads = 0;
  const seen = new Map<string, number>();
  const watching = (async () => {
    for (; !stopped; reads++) {
      const rows = (await world.read(views, plan, 'counters')) as { name: string; n: number }[];
      for (const name of names) {
        const n = rows.find(row => row.name === name)?.n;
        assert.ok(n !== undefined, `counter ${name} is gone`);
        assert.ok(n >= (seen.get(name) ?? 0), `counter ${name} went back from ${seen.get(name)} to ${n}`);
        seen.set(name, n);
      }
    }
    return reads;
  })();
  watching.catch(() => undefined);
  return {
    stop() {
      stopped = true;
      return watching;
    },
  };
}

const versions = () =>
  world.postgres.query<{ version: number; state: string }>(
    'SELECT version, state FROM penstock.view_versions ORDER BY version',
  );

test('while a table is rebuilt under load, no query finds it empty or behind an earlier answer, and nothing is lost', async () => {
  const topic = await world.topic(2);
  const plan = world.plan(counters(topic));
  const projectors = [await world.start(plan), await world.start(plan)];
  const views = world.views(plan);
  const names = ['left', 'right'];
  const counting = names.map((name, partition) => count(topic, name, partition));
  await until('both counters', async () => ((await world.read(views, plan, 'counters')) as unknown[]).length === 2);
  const watching = watchCounters(views, plan, names);
  for (let version = 2; version <= 5; version++) assert.deepEqual(await build(plan), { kind: 'swapped', version });
  const reached = await Promise.all(counting.map(counter => counter.stop()));
  await world.caughtUp(topic);
  const reads = await watching.stop();
  assert.ok(reads > 20, `only ${reads} reads`);
  const rows = (await world.read(views, plan, 'counters')) as { name: string; n: number }[];
  assert.deepEqual(
    names.map(name => rows.find(row => row.name === name)?.n),
    reached,
  );
  for (const projector of projectors) await projector.close();
});

for (const level of ['repeatable read', 'serializable'] as const) {
  test(`a batch that waits for a swap goes to the new version, also where the database's default is ${level}`, async () => {
    await world.postgres.defaultIsolation(level);
    const topic = await world.topic(1);
    const plan = world.plan(counters(topic));
    const projector = await world.start(plan);
    const views = world.views(plan);
    await world.send(topic, 0, { key: 'k', json: { name: 'early', n: 1 } });
    await world.caughtUp(topic);
    let late: Promise<void> | undefined;
    /** While the swap holds the live positions, a record comes in, and the projector's batch waits for them. */
    const comeLate = async () => {
      await world.send(topic, 0, { key: 'k', json: { name: 'late', n: 2 } });
      await until('the batch waits for the swap', async () => {
        const waiting = await world.postgres.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return waiting.length > 0;
      });
    };
    const session: Store['session'] = async () => {
      const own = await store.session();
      const watched = (queries: Queries): Queries => ({
        async query<Row>(sql: string, values?: readonly unknown[]) {
          const rows = await queries.query<Row>(sql, values);
          if (/view_positions.* FOR UPDATE/s.test(sql) && values?.[0] === liveScope) await (late ??= comeLate());
          return rows;
        },
      });
      return { ...own, transaction: work => own.transaction(queries => work(watched(queries))) };
    };
    assert.equal((await build(plan, { store: { session } })).kind, 'swapped');
    assert.ok(late, 'nothing came while the tables were swapped');
    await world.caughtUp(topic);
    assert.deepEqual(await world.read(views, plan, 'counters'), [
      { name: 'late', n: 2 },
      { name: 'early', n: 1 },
    ]);
    await projector.close();
  });
}

test('a rebuild that is interrupted leaves the view as it was, and the next one begins clean', async () => {
  const topic = await world.topic(1);
  const plan = world.plan(counters(topic));
  const projector = await world.start(plan);
  const views = world.views(plan);
  for (let n = 1; n <= 30; n++) await world.send(topic, 0, { key: 'k', json: { name: `c${n}`, n } });
  await world.send(topic, 0, { key: 'k', json: { name: 'c1', n: 1000 } });
  await world.caughtUp(topic);
  const before = await world.read(views, plan, 'counters');

  const stop = new AbortController();
  let fetches = 0;
  const topics = {
    identity: world.topics.identity,
    offsets: world.topics.offsets,
    epochEnd: world.topics.epochEnd,
    fetch: (...args: Parameters<typeof world.topics.fetch>) => {
      if (++fetches === 2) stop.abort();
      return world.topics.fetch(args[0], args[1], 1_000);
    },
  };
  await assert.rejects(build(plan, { topics, signal: stop.signal, batchRecords: 5 }));
  assert.deepEqual(
    (await versions()).map(({ state }) => state),
    ['live', 'building'],
  );
  assert.deepEqual(await world.read(views, plan, 'counters'), before);
  assert.equal((await build(plan)).kind, 'swapped');
  assert.deepEqual(await world.read(views, plan, 'counters'), before);
  assert.equal((await versions()).filter(({ state }) => state === 'building').length, 0);
  const scopes = await world.postgres.query('SELECT DISTINCT scope FROM penstock.view_positions');
  assert.equal(scopes.length, 1);
  await projector.close();
});

test('two rebuilds of one table do not run at the same time', async () => {
  const topic = await world.topic(1);
  const plan = world.plan(counters(topic));
  const projector = await world.start(plan);
  await world.send(topic, 0, { key: 'k', json: { name: 'c', n: 1 } });
  await world.caughtUp(topic);
  let second: unknown;
  const topics = {
    identity: world.topics.identity,
    offsets: world.topics.offsets,
    epochEnd: world.topics.epochEnd,
    async fetch(...args: Parameters<typeof world.topics.fetch>) {
      second ??= await build(plan);
      return world.topics.fetch(...args);
    },
  };
  assert.equal((await build(plan, { topics })).kind, 'swapped');
  assert.deepEqual(second, { kind: 'busy' });
  await projector.close();
});

test('the old version is kept for a snapshot that may read it, and dropped when that has ended', async () => {
  const topic = await world.topic(1);
  const plan = world.plan(counters(topic));
  const projector = await world.start(plan);
  const views = world.views(plan);
  await world.send(topic, 0, { key: 'k', json: { name: 'c', n: 1 } });
  await world.caughtUp(topic);
  const snapshot = await views.openSnapshot();
  await build(plan);
  await world.send(topic, 0, { key: 'k', json: { name: 'c', n: 2 } });
  await world.caughtUp(topic);
  assert.equal(await dropRetired(store.transaction), 1);
  const view = plan.views.get('counters');
  assert.ok(view);
  assert.deepEqual(await snapshot.read(view, {}, { userKey: '', everyRow: true }), [{ name: 'c', n: 1 }]);
  const { partitions } = await snapshot.position('k');
  assert.deepEqual(
    partitions.map(({ offset }) => offset),
    [0],
  );
  await snapshot.close();
  await until('the old version is dropped', async () => (await dropRetired(store.transaction)) === 0);
  assert.deepEqual(await world.read(views, plan, 'counters'), [{ name: 'c', n: 2 }]);
  await projector.close();
});

test('a changed schema is built beside, and the view answers as before until it is there', async () => {
  const topic = await world.topic(2);
  const old = world.plan(counters(topic));
  const changed = world.plan(counters(topic, 'label: String doubled: SafeInt'));
  const first = await world.start(old);
  const views = world.views(changed);
  await world.send(topic, 0, { key: 'k', json: { name: 'c', n: 1, label: 'one', doubled: 2 } });
  await world.caughtUp(topic);
  // The old version lacks both fields; they may be null, so that it can stand in.
  assert.deepEqual(await world.read(views, changed, 'counters'), [{ name: 'c', n: 1, label: null, doubled: null }]);
  const second = await world.start(changed);
  const rebuilt = [{ name: 'c', n: 1, label: 'one', doubled: 2 }];
  await until('the changed table', async () => {
    const rows = await world.read(views, changed, 'counters');
    return JSON.stringify(rows) === JSON.stringify(rebuilt);
  });
  // The first projector, of the older schema, feeds the new version as well as the second.
  for (const partition of [0, 1]) {
    await world.send(topic, partition, { key: 'k', json: { name: `p${partition}`, n: 5, label: 'five' } });
  }
  await world.caughtUp(topic);
  const rows = (await world.read(views, changed, 'counters')) as { name: string; label: string }[];
  assert.deepEqual(rows.map(({ name, label }) => `${name} ${label}`).sort(), ['c one', 'p0 five', 'p1 five']);
  await first.close();
  await second.close();
});

test('a table that the schema gains is built from the beginning; one that it lost and gets back misses nothing', async () => {
  const topic = await world.topic(1);
  const one = world.plan(counters(topic));
  const both = world.plan(
    counters(topic)
      .replace('type Query {', 'type Query { labels: [Label!]! @view(table: "label") @requiresRole(anyOf: ["all"])')
      .concat(`type Label @table(name: "label", topics: ["${topic}"], id: ["name"]) { name: ID! }`),
  );
  const views = world.views(both);
  const names = async () =>
    ((await world.read(views, both, 'labels').catch(() => [])) as { name: string }[]).map(({ name }) => name).sort();
  const first = await world.start(one);
  await world.send(topic, 0, { key: 'k', json: { name: 'a', n: 1 } });
  await world.caughtUp(topic);
  await first.close();
  const second = await world.start(both);
  await until('the new table', async () => (await names()).join() === 'a');
  await second.close();
  const third = await world.start(one);
  await world.send(topic, 0, { key: 'k', json: { name: 'b', n: 2 } });
  await world.caughtUp(topic);
  assert.deepEqual(await names(), []);
  await third.close();
  const fourth = await world.start(both);
  await until('the table is back', async () => (await names()).join() === 'a,b');
  await fourth.close();
});

test('a topic that was created again holds its partitions up with a reason, at start and live, until a rebuild puts them right', async () => {
  const topic = await world.topic(1);
  const plan = world.plan(counters(topic));
  const projector = await world.start(plan);
  const views = world.views(plan);
  const fill = async (name: string, count: number) => {
    for (let n = 1; n <= count; n++) await world.send(topic, 0, { key: 'k', sequence: n, json: { name, n } });
  };
  const makeAnew = async () => {
    await world.kafka.remove(topic);
    await world.topics.ensure([{ name: topic, partitions: 1, replicationFactor: 1 }]);
  };
  const shown = (rows: object[]) => async () =>
    JSON.stringify(await world.read(views, plan, 'counters')) === JSON.stringify(rows);
  await fill('old', 5);
  await world.caughtUp(topic);
  await projector.close();

  await makeAnew();
  await fill('new', 7); // past the position in the old one
  const again = await world.start(plan);
  const heldUp = async () => (await until('a reason', () => again.ops.readiness.reasons().partitions)) ?? '';
  assert.equal(await heldUp(), `${topic}/0 was created again: rebuild its tables`);
  assert.ok(await shown([{ name: 'old', n: 5 }])(), 'nothing of the new topic before the rebuild');
  assert.equal((await build(plan)).kind, 'swapped');
  await until('what the new topic says', shown([{ name: 'new', n: 7 }]));
  await until('ready again', () => again.ops.readiness.reasons().partitions === undefined);

  await makeAnew();
  await fill('newest', 9);
  assert.equal(await heldUp(), `${topic}/0 was created again: rebuild its tables`);
  assert.equal((await build(plan)).kind, 'swapped');
  await until('ready once more', () => again.ops.readiness.reasons().partitions === undefined);
  await world.send(topic, 0, { key: 'k', sequence: 10, json: { name: 'newest', n: 10 } });
  await until('what the newest topic says', shown([{ name: 'newest', n: 10 }]));
  await again.close();
  await world.kafka.remove(topic);
});

test('npm run rebuild finds the running stack, says what it does, and names the tables for one that it does not know', async () => {
  const topic = await world.topic(1);
  const plan = world.plan(counters(topic));
  const projector = await world.start(plan);
  await world.send(topic, 0, { key: 'k', json: { name: 'c', n: 1 } });
  await world.caughtUp(topic);
  const folder = await mkdtemp(join(tmpdir(), 'penstock-rebuild-'));
  const stack = {
    url: 'http://127.0.0.1:1',
    processes: [],
    kafka: [kafkaAddress()],
    redis: '',
    postgres: world.postgres.url,
  };
  await writeFile(join(folder, 'stack.json'), JSON.stringify(stack));
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, ['services/projector/rebuild.ts', ...args, '--folder', folder], {
      cwd: join(import.meta.dirname, '../../..'),
      env: { PATH: process.env.PATH },
    }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
    );
  const done = await run('counter');
  assert.equal(done.stderr, '');
  assert.match(
    done.stdout,
    /^counter: building a new version from scratch-\w+\n(counter: \d+ of \d+ records .*\n)+counter: version 2 is live\ncounter: the old version is dropped\n$/,
  );
  const unknown = await run('counters');
  assert.deepEqual(unknown, { code: 1, stdout: '', stderr: 'no table counters; the tables are: counter\n' });
  await rm(folder, { recursive: true });
  await projector.close();
});
