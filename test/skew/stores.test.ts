// What the processes of two releases keep in PostgreSQL and Redis, where both read and write it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { Redis } from 'ioredis';
import type pg from 'pg';
import { compileApp } from '../../lib/app/index.ts';
import * as entry from '../../lib/replay/buffer/entry.ts';
import * as store from '../../lib/replay/buffer/store.ts';
import { logRecord } from '../../lib/replay/log-record.ts';
import { openViews } from '../../lib/views/index.ts';
import * as claims from '../../services/command-handler/claims.ts';
import * as handlerPostgres from '../../services/command-handler/postgres.ts';
import * as statements from '../../services/command-handler/statements.ts';
import * as positions from '../../services/projector/positions.ts';
import { openStore } from '../../services/projector/store.ts';
import * as versions from '../../services/projector/versions.ts';
import { quietOps } from '../support/quiet-ops.ts';
import { type ScratchPostgres, scratchPostgres } from '../support/scratch-postgres.ts';
import { inSnapshot } from '../support/view-table.ts';
import { openPreviousRelease, type PreviousRelease, whyNoPreviousRelease } from './previous.ts';

const skip = whyNoPreviousRelease();
let previous: PreviousRelease;
before(() => {
  if (skip === false) previous = openPreviousRelease();
});
after(() => previous?.remove());

let postgres: ScratchPostgres;
beforeEach(async () => {
  postgres = await scratchPostgres();
});
afterEach(() => postgres.drop());

const at = { topic: 'notes', partition: 0 };

test('a leader epoch that a projector of the previous release left behind is not that of its position', {
  skip,
}, async () => {
  const old = await previous.load<typeof positions>('services/projector/positions.ts');
  const kept = openStore({ url: postgres.url, poolSize: 2 }, quietOps('projector'));
  const move = (release: typeof positions, next: number) => {
    const moves = [{ ...at, next, timestampMs: next, leaderEpoch: 5 }];
    return kept.transaction(queries => release.movePositions(queries, positions.liveScope, moves));
  };
  const claimed = () =>
    kept.transaction(async queries => {
      const found = await positions.claimPositions(queries, [at], new Map([['notes', 'id']]), 1, false);
      return found.kind === 'claimed' ? found.positions.map(({ next, leaderEpoch }) => ({ next, leaderEpoch })) : found;
    });
  try {
    await kept.transaction(async queries => {
      await versions.migrateViews(queries);
      await positions.insertPositions(queries, positions.liveScope, [{ ...at, offset: 0 }]);
    });
    await move(positions, 10);
    assert.deepEqual(await claimed(), [{ next: 10, leaderEpoch: 5 }]);
    await move(old, 20);
    assert.deepEqual(await claimed(), [{ next: 20, leaderEpoch: null }]);
    await move(positions, 30);
    assert.deepEqual(await claimed(), [{ next: 30, leaderEpoch: 5 }]);
  } finally {
    await kept.close();
  }
});

test('a leader epoch that a handler of the previous release left behind is not that of its position', {
  skip,
}, async () => {
  const old = await previous.load<typeof statements>('services/command-handler/statements.ts');
  const oldClaims = await previous.load<typeof claims>('services/command-handler/claims.ts');
  const open = () =>
    handlerPostgres.openPool(
      { address: { url: postgres.url }, size: 2, transactionTimeoutMs: 5_000 },
      quietOps('command-handler').log,
    );
  const [pool, oldPool] = [open(), open()];
  const poolOf = (isNew: boolean) => (isNew ? pool : oldPool);
  const claim = async (release: typeof claims) => {
    const { claimed } = await release.claim(
      poolOf(release === claims),
      [at],
      1,
      () => ({ start: 0, topicId: 'id' }),
      false,
    );
    return claimed[0] ?? assert.fail('not claimed');
  };
  const move = async (release: typeof statements, claimed: claims.Claimed, toOffset: number) => {
    const { epoch, position: fromOffset } = claimed;
    const client: pg.PoolClient = await poolOf(release === statements).connect();
    const opened = await release.open(client, [{ ...at, epoch, fromOffset, toOffset, toLeaderEpoch: 5 }], []);
    client.release();
    assert.deepEqual(opened.moved, [at]);
  };
  try {
    await handlerPostgres.migrate(pool, []);
    await move(statements, await claim(claims), 10);
    const mine = await claim(claims);
    assert.deepEqual([mine.position, mine.leaderEpoch], [10, 5]);
    await move(old, await claim(oldClaims), 20);
    const again = await claim(claims);
    assert.deepEqual([again.position, again.leaderEpoch], [20, null]);
  } finally {
    await Promise.all([pool.end(), oldPool.end()]);
  }
});

test('a gateway answers queries from tables of the previous release, and goes on when they are brought up to date', {
  skip,
}, async () => {
  const old = await previous.load<typeof versions>('services/projector/versions.ts');
  const plan = compileApp({
    name: 'test.graphql',
    body: `
      type Query { notes: [Note!]! @view(table: "notes") }
      type Note @table(name: "notes", topics: ["notes"], id: ["id"]) { id: ID! }`,
  });
  const table = plan.tables.get('notes') ?? assert.fail('no table');
  const kept = openStore({ url: postgres.url, poolSize: 2 }, quietOps('projector'));
  const views = openViews({ url: postgres.url, poolSize: 1 }, plan, quietOps('gateway'));
  const partitions = () =>
    inSnapshot(views, async snapshot => {
      assert.deepEqual(
        await snapshot.read(plan.views.get('notes') ?? assert.fail('no view'), {}, { userKey: 'k', everyRow: false }),
        [],
      );
      return (await snapshot.position('k')).partitions;
    });
  try {
    await kept.transaction(async queries => {
      await old.migrateViews(queries);
      await old.createVersion(queries, table, 'live');
      await positions.insertPositions(queries, positions.liveScope, [{ ...at, offset: 8 }]);
    });
    const place = { ...at, offset: 7, timestampMs: -1 };
    assert.deepEqual(await partitions(), [place]);
    await kept.transaction(async queries => {
      await versions.migrateViews(queries);
      await positions.movePositions(queries, positions.liveScope, [{ ...at, next: 9, timestampMs: 4, leaderEpoch: 5 }]);
    });
    assert.deepEqual(await partitions(), [{ ...place, offset: 8, timestampMs: 4, leaderEpoch: 5 }]);
  } finally {
    await views.close();
    await kept.close();
  }
});

test('gateways of both releases keep one replay buffer, and neither takes an epoch of another tail for that of its own', {
  skip,
}, async () => {
  const old = await previous.load<typeof store>('lib/replay/buffer/store.ts');
  const oldEntry = await previous.load<typeof entry>('lib/replay/buffer/entry.ts');
  const redis = new Redis(process.env.TEST_REDIS ?? assert.fail('TEST_REDIS is not set'));
  const retention = { keyRecords: 100, ageMs: 60_000, partitionBytes: 1_000_000 };
  const name = randomUUID();
  const both = {
    old: old.openBufferStore(redis, name, retention),
    new: store.openBufferStore(redis, name, retention),
  };
  const recordAt = (offset: number) =>
    logRecord({
      ...{ ...at, offset, timestampMs: 1_000 + offset, leaderEpoch: 5 },
      ...{ key: Buffer.from('k'), value: Buffer.from(`value ${offset}`), headers: { h: 'x' } },
    });
  const claimed = async (release: keyof typeof both, generation: number) => {
    const answer = await both[release].claim(at, { generation, counter: 0 }, false);
    return answer.answer === 'OK' ? answer.window : assert.fail('fenced out');
  };
  const append = async (release: keyof typeof both, generation: number, offset: number) => {
    const append = {
      ...{ fence: { generation, counter: 0 }, id: 'w', expectedTail: offset - 1, newTail: offset, tailEpoch: 5 },
      ...{ records: [recordAt(offset)], mark: { offset, timestampMs: 1_000 + offset } },
    };
    assert.deepEqual(await both[release].append(at, append), { answer: 'OK' });
  };
  try {
    await claimed('new', 1);
    await both.new.open(at, { generation: 1, counter: 0 }, 'w', 0);
    await append('new', 1, 0);
    assert.equal((await claimed('new', 2))?.tailEpoch, 5);
    assert.equal((await claimed('old', 3))?.tail, 0, 'the old gateway goes on with the window of the new one');
    await append('old', 3, 1);
    const window = await claimed('new', 4);
    assert.deepEqual([window?.tail, window?.tailEpoch], [1, undefined]);
    await append('new', 4, 2);
    for (const release of ['old', 'new'] as const) {
      const answer = (await both[release].read(at, { key: 'k', after: -1 })) ?? assert.fail('no window');
      const unpack = release === 'old' ? oldEntry.unpackRecord : entry.unpackRecord;
      const read = answer.entries.map(({ offset, packed }) => unpack(at, offset, 'k', packed).record);
      assert.deepEqual(
        read.map(({ offset, value, headers }) => [offset, String(value), String(headers.h)]),
        [0, 1, 2].map(offset => [offset, `value ${offset}`, 'x']),
      );
      if (release === 'new') assert.deepEqual([answer.tail, answer.tailEpoch], [2, 5]);
    }
  } finally {
    redis.disconnect();
  }
});
