import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { openScript } from '../../../../lib/redis/index.ts';
import { proofRules } from '../../../../lib/replay/buffer/proof.ts';
import {
  type BufferScripts,
  bufferScripts,
  openBufferStore,
  pageRecords,
} from '../../../../lib/replay/buffer/store.ts';
import type { Append, RawAnswer } from '../../../../lib/replay/buffer/types.ts';
import { upkeepRules } from '../../../../lib/replay/buffer/upkeep.ts';
import { logRecord, pointOf } from '../../../../lib/replay/log-record.ts';
import { type ScratchRedis, startScratchRedis } from '../../../support/scratch-redis.ts';
import { BufferWorld } from './buffer-world.ts';
import { realStore } from './real-store.ts';
import { play, type Step, schedules } from './schedules.ts';

let server: ScratchRedis;
let redis: Redis;
before(async () => {
  server = await startScratchRedis();
  redis = new Redis(server.url);
});
after(async () => {
  redis.disconnect();
  await server.close();
});

const runs = Number(process.env.TEST_REAL_SCHEDULES ?? 60);

async function playReal(steps: readonly Step[], keeps: number, scripts: BufferScripts): Promise<BufferWorld> {
  const topic = randomUUID();
  const store = realStore(redis, topic, { keyRecords: 1_000, ageMs: 60_000, partitionBytes: keeps * 200 }, scripts);
  const world = new BufferWorld({
    ...{ store, upkeep: upkeepRules, proof: proofRules, page: pageRecords, topic, newId: randomUUID },
  });
  try {
    await play(world, store, steps);
    await world.finish();
  } finally {
    await store.flush();
  }
  return world;
}

test('the real scripts on a real Redis, whatever happens to them: what they prove is the log’s', async () => {
  const counts = { proved: 0, unknown: 0 };
  await fc.assert(
    fc.asyncProperty(schedules, fc.integer({ min: 2, max: 60 }), async (steps, keeps) => {
      const world = await playReal(steps, keeps, bufferScripts);
      assert.deepEqual(world.problems, []);
      counts.proved += world.counts.proved;
      counts.unknown += world.counts.unknown;
    }),
    { numRuns: runs, endOnFailure: true },
  );
  assert.ok(counts.proved > runs && counts.unknown > runs, JSON.stringify(counts));
});

/** One text of a script, broken. */
const brokenScripts: Readonly<Record<string, { script: keyof BufferScripts; find: string; replace: string }>> = {
  'skips the fence at the append': {
    script: 'append',
    find: 'if theirs > generation or (theirs == generation and theirCounter > counter) then',
    replace: 'if false then',
  },
  'skips the fence at the claim': {
    script: 'claim',
    find: 'if theirs > generation or (theirs == generation and theirCounter > counter) then',
    replace: 'if false then',
  },
  'writes no predecessor': { script: 'append', find: "entry, 'p', previous, 'r'", replace: "entry, 'p', '-1', 'r'" },
  'does not note the last record of a key': {
    script: 'append',
    find: "redis.call('ZADD', last, previous, member)",
    replace: '',
  },
  'does not miss an evicted set of keys': {
    script: 'read',
    find: "if not redis.call('ZSCORE', last, '#') then",
    replace: 'if false then',
  },
};
for (const [name, { script, find, replace }] of Object.entries(brokenScripts)) {
  test(`a script that ${name} is found out`, async () => {
    const lua = readFileSync(new URL(`../../../../lib/replay/buffer/${script}.lua`, import.meta.url), 'utf8');
    assert.equal(lua.split(find).length, 2, 'the text is there once');
    const scripts = { ...bufferScripts, [script]: openScript(lua.replace(find, () => replace)) };
    const found = await fc.check(
      fc.asyncProperty(schedules, async steps => {
        assert.deepEqual((await playReal(steps, 1_000, scripts)).problems, []);
      }),
      { numRuns: 2_000, seed: 1, endOnFailure: true },
    );
    assert.ok(found.failed, `survived ${found.numRuns} schedules`);
  });
}

/** A window from offset 0 on, and how to append to it. */
async function window(retention = { keyRecords: 1_000, ageMs: 60_000, partitionBytes: 1_000_000 }) {
  const at = { topic: randomUUID(), partition: 0 };
  const store = openBufferStore(redis, 'test', retention);
  const prefix = `penstock:{${at.topic}/0}:test`;
  const fence = { generation: 5, counter: 1 };
  await store.claim(at, fence, false);
  await store.open(at, fence, 'w', 0);
  const append = (from: number, keys: readonly string[], more: Partial<Append> = {}) => {
    const records = keys.map((key, index) =>
      logRecord({
        ...{ ...at, offset: from + index, timestampMs: 1_000 + from + index },
        ...{ key: Buffer.from(key), value: Buffer.from([255, 0, index]), headers: {} },
      }),
    );
    const last = records[records.length - 1];
    const mark = last === undefined ? undefined : pointOf(last);
    const newTail = from + keys.length - 1;
    return store.append(at, { fence, id: 'w', expectedTail: from - 1, newTail, records, mark, ...more });
  };
  const read = (key: string, after: number) => store.read(at, { key, after });
  return { at, store, prefix, fence, append, read };
}

const chain = (answer: RawAnswer | undefined) => answer?.entries.map(({ offset, previous }) => [previous, offset]);

test('an older fence is answered STALE and changes nothing; another window or tail is a HOLE and changes nothing', async () => {
  const { at, store, fence, append, read } = await window();
  assert.deepEqual(await append(0, ['a', 'b']), { answer: 'OK' });
  const before = await read('a', -1);
  const old = { generation: 4, counter: 9 };
  const stale = { answer: 'STALE', holder: fence };
  assert.deepEqual(await append(2, ['a'], { fence: old }), stale);
  assert.deepEqual(await store.claim(at, old, false), stale);
  assert.deepEqual(await store.open(at, old, 'x', 9), stale);
  assert.deepEqual(await append(3, ['a']), { answer: 'HOLE' });
  assert.deepEqual(await append(2, ['a'], { id: 'x' }), { answer: 'HOLE' });
  assert.deepEqual(await read('a', -1), before);
  const raised = { generation: 5, counter: 2 };
  assert.deepEqual(await store.claim(at, old, true), { answer: 'OK', fence: raised, window: undefined });
  assert.deepEqual(await append(2, ['a']), { answer: 'STALE', holder: raised });
});

test('each entry names its predecessor, the first one where the window begins to know', async () => {
  const { append, read } = await window();
  await append(0, ['a', 'b', 'a']);
  await append(3, ['b', 'a']);
  assert.deepEqual(chain(await read('a', -1)), [
    [-1, 0],
    [0, 2],
    [2, 4],
  ]);
  assert.deepEqual(chain(await read('b', 1)), [[1, 3]]);
  const answer = await read('a', 3);
  assert.deepEqual([answer?.tail, answer?.from, answer?.last, answer?.timestampMs], [4, 0, 4, 1_003]);
  assert.deepEqual(answer?.entries[0]?.packed.subarray(-4, -1), Buffer.from([255, 0, 1]));
});

test('over its bytes a window gives up its oldest records, and says so', async () => {
  const { append, read, prefix } = await window({ keyRecords: 1_000, ageMs: 60_000, partitionBytes: 10_000 });
  await append(0, ['once']);
  for (let offset = 1; offset < 200; offset += 10)
    await append(
      offset,
      Array.from({ length: 10 }, () => 'often'),
    );
  const answer = await read('once', -1);
  assert.equal(answer?.last, undefined);
  assert.ok((answer?.from ?? 0) > 100 && (answer?.from ?? 0) < 200, `from ${answer?.from}`);
  assert.equal(await redis.exists(`${prefix}:key:w:once`), 0);
  assert.ok((await redis.pttl(`${prefix}:key:w:often`)) > 60_000, 'streams live longer than the age');
});

test('a window that has lost its set of keys, or a script half-way, is none', async () => {
  const { at, store, fence, append, read, prefix } = await window();
  await append(0, ['a', 'b']);
  await redis.del(`${prefix}:last:w`);
  assert.equal(await read('c', 1), undefined);
  assert.deepEqual(await append(2, ['a']), { answer: 'HOLE' });
  assert.deepEqual(await store.claim(at, fence, false), { answer: 'OK', fence, window: undefined });

  const other = await window();
  await other.append(0, ['a', 'b']);
  // Not a stream: the script dies at its second key.
  await redis.set(`${other.prefix}:key:w:z`, 'x');
  await assert.rejects(other.append(2, ['a', 'z']), /WRONGTYPE/);
  assert.equal(await other.read('a', -1), undefined);
  assert.deepEqual(await other.append(2, ['a']), { answer: 'HOLE' });
});

test('a full Redis refuses an append before anything is written', async () => {
  const { append, read } = await window();
  await append(0, ['a']);
  const before = await read('a', -1);
  await redis.config('SET', 'maxmemory', '1');
  try {
    await assert.rejects(append(1, ['a']), /OOM/);
  } finally {
    await redis.config('SET', 'maxmemory', '0');
  }
  assert.deepEqual(await read('a', -1), before);
  assert.deepEqual(await append(1, ['a']), { answer: 'OK' });
});
