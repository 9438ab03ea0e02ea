import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { openScript } from '../../../lib/redis/index.ts';
import { type BufferScripts, bufferScripts, openBufferStore } from '../../../lib/replay/buffer/store.ts';
import type { Fence } from '../../../lib/replay/buffer/types.ts';
import { type LogRecord, logRecord, pointOf } from '../../../lib/replay/log-record.ts';
import { applyMutants, root } from '../../support/mutate.ts';
import { type ScratchRedis, startScratchRedis } from '../../support/scratch-redis.ts';
import { until } from '../../support/until.ts';
import { mutants } from '../mutants.ts';
import { type LogBuilder, openLog } from './log.ts';
import { type BufferVerdict, watchBuffer } from './watch.ts';

let server: ScratchRedis;
let redis: Redis;
before(async () => {
  server = await startScratchRedis();
  redis = new Redis(server.url);
  // Else the first call of each would count twice: by its hash, and in full.
  for (const script of ['claim', 'open', 'append']) {
    await redis.script('LOAD', readFileSync(join(root, `lib/replay/buffer/${script}.lua`), 'utf8'));
  }
});
after(async () => {
  redis.disconnect();
  await server.close();
});

const at = { topic: 'ticks', partition: 3 };
const name = 'group:cluster';
const owner: Fence = { generation: 5, counter: 2 };
const zombie: Fence = { generation: 5, counter: 1 };
const retention = { keyRecords: 1_000, ageMs: 60_000, partitionBytes: 1_000_000 };

/** A gateway's side of one window, and the log that it is of. */
interface Side {
  store: ReturnType<typeof openBufferStore>;
  log: LogBuilder;
  /** Appends consecutive records of these keys to the log. */
  written(from: number, ...keys: readonly string[]): void;
  /** Appends them to the window `w`; undefined is left out. */
  append(from: number, keys: readonly (string | undefined)[], fence?: Fence): Promise<string>;
}

function recordOf(key: string, offset: number): LogRecord {
  const value = Buffer.from('a value of " "quotes" "');
  return logRecord({ ...at, offset, timestampMs: 1_000 + offset, key: Buffer.from(key), value, headers: {} });
}

/** Watches what is done to an empty Redis by scripts of which some may be broken. */
async function watched(
  scripts: Partial<BufferScripts>,
  work: (side: Side) => Promise<unknown>,
): Promise<BufferVerdict> {
  await redis.flushall();
  const watch = await watchBuffer(server.url);
  const store = openBufferStore(redis, name, retention, { ...bufferScripts, ...scripts });
  const log = openLog();
  await work({
    ...{ store, log },
    written(from, ...keys) {
      for (const [index, key] of keys.entries()) log.add({ partition: at.partition, offset: from + index, key });
    },
    async append(from, keys, fence = owner) {
      const records = keys.flatMap((key, index) => (key === undefined ? [] : [recordOf(key, from + index)]));
      const last = records[records.length - 1];
      const mark = last === undefined ? undefined : pointOf(last);
      const newTail = from + keys.length - 1;
      return (await store.append(at, { fence, id: 'w', expectedTail: from - 1, newTail, records, mark })).answer;
    },
  });
  return watch.end(new Map([[at.topic, log]]));
}

/** Those scripts of a mutant of the run that are broken in it. */
function brokenBy(mutant: string): Partial<BufferScripts> {
  const changes = mutants[mutant]?.changes ?? [];
  const names = ['claim', 'open', 'append'] as const;
  const broken = names.map(script => ({ script, file: `lib/replay/buffer/${script}.lua` }));
  return Object.fromEntries(
    broken
      .filter(({ file }) => changes.some(change => change.file === file))
      .map(({ script, file }) => [
        script,
        openScript(applyMutants(changes, file, readFileSync(join(root, file), 'utf8'))),
      ]),
  );
}

async function opened({ store, append, written }: Side): Promise<void> {
  await store.claim(at, zombie, false);
  await store.open(at, zombie, 'w', 0);
  written(0, 'a', 'b', 'a');
  await append(0, ['a', 'b', 'a'], zombie);
  await store.claim(at, owner, false);
}

test('scripts that keep the rules have no faults, whatever is asked of them and happens to their keys', async () => {
  const verdict = await watched({}, async side => {
    const { store, append, written } = side;
    await opened(side);
    written(3, 'b', 'c');
    assert.equal(await append(3, ['b', 'c'], zombie), 'STALE');
    assert.equal(await append(4, ['c']), 'HOLE');
    assert.equal(await append(3, ['b', 'c']), 'OK');
    assert.equal((await store.open(at, zombie, 'x', 9)).answer, 'STALE');
    assert.equal((await store.claim(at, zombie, true)).answer, 'OK', 'the group has confirmed it');
    await redis.unlink(...(await redis.keys('*')));
    assert.equal((await store.claim(at, zombie, false)).answer, 'OK', 'nobody newer is known any more');
    await redis.flushall();
    await store.claim(at, { generation: 1, counter: 1 }, false);
    await store.open(at, owner, 'w', 5);
    written(5, 'c');
    assert.equal(await append(5, ['c']), 'OK');
  });
  assert.deepEqual([verdict.faults, verdict.named], [0, []]);
  assert.deepEqual(verdict.counts, { claim: 5, open: 3, append: 5, refused: 3, windows: 1, entries: 1 });
});

test('an older fence after Redis has evicted the newer one is no fault', async () => {
  const verdict = await watched({}, async side => {
    await opened(side);
    await redis.config('SET', 'maxmemory-policy', 'allkeys-random');
    await redis.config('SET', 'maxmemory', '1');
    await redis.set('x', 'x').catch(() => undefined);
    await redis.config('SET', 'maxmemory', '0');
    assert.equal(await redis.dbsize(), 0);
    assert.equal((await side.store.claim(at, zombie, false)).answer, 'OK');
  });
  assert.deepEqual(verdict.named, []);
});

test('Redis may die and come back empty: what it had is held against nobody, and the watch goes on', async () => {
  const verdict = await watched(brokenBy('ignore-hole'), async side => {
    await opened(side);
    await server.kill();
    await server.start();
    await until('all are back', async () => `${await redis.client('LIST')}`.includes('cmd=monitor'));
    assert.equal((await side.store.claim(at, zombie, false)).answer, 'OK');
    await side.store.open(at, zombie, 'w', 5);
    side.written(3, 'b', 'b', 'c', 'a');
    assert.equal(await side.append(6, ['a'], zombie), 'OK');
  });
  assert.equal(verdict.faults, 2, `${verdict.named}`);
  assert.match(verdict.named[0] ?? '', /append to w behind 5, where w is, its tail 4/);
});

test('a claim that skips the fence is a fault, and so are an append and a new window', async () => {
  const scripts = brokenBy('skip-the-fence');
  const verdict = await watched(scripts, async side => {
    await opened(side);
    assert.equal((await side.store.claim(at, zombie, false)).answer, 'OK');
    await side.store.claim(at, owner, false);
    side.written(3, 'b');
    assert.equal(await side.append(3, ['b'], zombie), 'OK');
    await side.store.claim(at, owner, false);
    assert.equal((await side.store.open(at, zombie, 'x', 4)).answer, 'OK');
  });
  assert.equal(verdict.faults, 3, `${verdict.named}`);
  for (const fault of verdict.named) assert.match(fault, /(claim|append|open) under 5\.1, fenced out by 5\.2/);
});

test('an append that writes before it looks at the fence is a fault, though it says STALE', async () => {
  const verdict = await watched(brokenBy('append-before-the-epoch-check'), async side => {
    await opened(side);
    side.written(3, 'b');
    assert.equal(await side.append(3, ['b'], zombie), 'STALE');
  });
  assert.equal(verdict.faults, 1, `${verdict.named}`);
  assert.match(verdict.named[0] ?? '', /append under 5\.1, fenced out by 5\.2/);
});

test('an append over a hole is a fault where the tail is known, and what the window then says is another', async () => {
  const verdict = await watched(brokenBy('ignore-hole'), async side => {
    await opened(side);
    side.written(3, 'b', 'c');
    assert.equal(await side.append(5, ['a']), 'OK');
    side.written(5, 'a');
  });
  assert.equal(verdict.faults, 3, `${verdict.named}`);
  const [written, ofB, ofC] = verdict.named;
  assert.match(written ?? '', /append to w behind 4, where w is, its tail 2/);
  assert.match(ofB ?? '', /of b, 1 is the last up to 5; the log has 3/);
  assert.match(ofC ?? '', /of c, nothing from 0 on; the log has 4/);
});

test('an append that leaves out a record of its stretch is a fault, also where its window is gone by the end', async () => {
  const verdict = await watched({}, async side => {
    await opened(side);
    side.written(3, 'b', 'c', 'a');
    assert.equal(await side.append(3, ['b', undefined, 'a']), 'OK');
    await redis.flushall();
  });
  assert.equal(verdict.faults, 1, `${verdict.named}`);
  assert.match(verdict.named[0] ?? '', /2 records are all of 3–5; the log has 3 with a key/);
});

test('a script that dies half-way is a fault', async () => {
  const verdict = await watched({}, async side => {
    await opened(side);
    await redis.set(`penstock:{ticks/3}:${name}:key:w:z`, 'no stream');
    await assert.rejects(side.append(3, ['b', 'z']), /WRONGTYPE/);
  });
  assert.equal(verdict.faults, 1, `${verdict.named}`);
  assert.match(verdict.named[0] ?? '', /append has ended half-way/);
});
