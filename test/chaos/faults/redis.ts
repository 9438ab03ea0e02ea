import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { filesOf } from '../../../dev/stack/folder.ts';
import { until } from '../../support/until.ts';
import { pause } from '../whole.ts';
import type { Fault, World } from './types.ts';

/** What a Redis that runs can do wrong. */
export const redisFaults: readonly Fault[] = [
  {
    /** Every write is refused with OOM, reads go on. */
    name: 'redis-full',
    inject: world => constrained(world, { policy: 'noeviction', share: 0 }),
  },
  {
    /** Keys vanish one by one: claims, windows and streams alike. */
    name: 'redis-evicting',
    inject: world => constrained(world, { policy: 'allkeys-lru', share: 0.5 }),
  },
  { name: 'redis-read-only', inject: readOnly },
  { name: 'redis-lagging-failover', inject: failOver },
  { name: 'redis-rollback', inject: rollBack },
];

async function withRedis<T>(target: string | { path: string }, work: (redis: Redis) => Promise<T>): Promise<T> {
  const options = { lazyConnect: true, maxRetriesPerRequest: 20 };
  const redis = typeof target === 'string' ? new Redis(target, options) : new Redis({ ...target, ...options });
  redis.on('error', () => undefined); // the commands fail too
  try {
    await redis.connect();
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}

/** Leaves room for a share of its data; 0 is none for anything. */
async function constrained(
  { stack, random, log, signal }: World,
  { policy, share }: { policy: string; share: number },
) {
  const ms = random.integer(5_000, 15_000);
  await withRedis(stack.redis, async redis => {
    const [, limit = '0'] = (await redis.config('GET', 'maxmemory')) as string[];
    const [, usual = 'noeviction'] = (await redis.config('GET', 'maxmemory-policy')) as string[];
    const keys = await redis.dbsize();
    const memory = await redis.info('memory');
    const [used, held] = ['used_memory', 'used_memory_dataset'].map(name =>
      Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(memory)?.[1]),
    ) as [number, number];
    const bytes = share === 0 ? 1 : Math.round(used - held * (1 - share));
    log(`maxmemory ${bytes} of ${used} bytes, ${policy}, for ${ms} ms`);
    const refusedBefore = await refusedOf(redis);
    await redis.config('SET', 'maxmemory-policy', policy);
    await redis.config('SET', 'maxmemory', String(bytes));
    try {
      await pause(ms, signal);
    } finally {
      await redis.config('SET', 'maxmemory', limit);
      await redis.config('SET', 'maxmemory-policy', usual);
    }
    const refused = (await refusedOf(redis)) - refusedBefore;
    const left = await redis.dbsize();
    log(`${keys} keys before, ${left} now; ${refused} calls refused`);
    // Where everything is younger than what Redis looks at to evict, it refuses instead.
    if (refused === 0 && left >= keys && !signal.aborted) throw new Error('the limit did no harm');
  });
}

/** Calls that Redis has turned down so far: a script that may not write has failed, a command of its own was rejected. */
async function refusedOf(redis: Redis): Promise<number> {
  const stats = await redis.info('commandstats');
  return [...stats.matchAll(/(?:rejected|failed)_calls=(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** As an old master that has been told to follow another one: it answers, and refuses every write. */
async function readOnly({ stack, random, log, signal }: World): Promise<void> {
  const ms = random.integer(4_000, 12_000);
  log(`READONLY for ${ms} ms`);
  await withRedis(stack.redis, async redis => {
    await redis.replicaof('127.0.0.1', '1'); // nobody listens there: it keeps what it has
    try {
      const refusedBefore = await refusedOf(redis);
      await pause(ms, signal);
      const refused = (await refusedOf(redis)) - refusedBefore;
      log(`${refused} calls refused`);
      if (refused === 0 && !signal.aborted) throw new Error('nobody has tried to write');
    } finally {
      await redis.replicaof('NO', 'ONE');
    }
  });
}

/**
 * A real replica stops following, the master goes on for a while and is killed, and what the replica had comes back under
 * the master's address: the last seconds of every key are missing, and nothing says so.
 */
async function failOver({ stack, random, log, signal }: World): Promise<void> {
  const masterPid = stack.pid('redis');
  if (masterPid === undefined) throw new Error('redis does not run');
  const command = readlinkSync(`/proc/${masterPid}/exe`);
  const folder = mkdtempSync(join(stack.folder, 'replica-'));
  const path = join(folder, 'socket');
  const replica = spawn(command, replicaArguments(stack.redis, folder, path), { stdio: 'ignore' });
  try {
    await until('the replica to be in step', () => inStep(path), 30_000);
    await withRedis({ path }, redis => redis.replicaof('NO', 'ONE'));
    const lagMs = random.integer(1_000, 6_000);
    log(`the replica lags for ${lagMs} ms`);
    await pause(lagMs, signal);
    const keys = await withRedis({ path }, redis => redis.dbsize());
    const gone = once(replica, 'exit');
    replica.kill('SIGTERM'); // it writes down what it has
    await gone;
    await stack.down('redis');
    log(`the master has died; a replica with ${keys} keys takes its place`);
    const { redis: data } = filesOf(stack.folder);
    for (const name of readdirSync(data)) rmSync(join(data, name), { recursive: true });
    for (const name of readdirSync(folder).filter(name => name.startsWith('appendonly'))) {
      cpSync(join(folder, name), join(data, name), { recursive: true });
    }
  } finally {
    replica.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
    await stack.up('redis');
  }
}

/** Answers [[key, time to live in ms, content], …]: all of one moment. */
const copyScript = `
local copy = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  copy[#copy + 1] = {key, redis.call('PTTL', key), redis.call('DUMP', key)}
end
return copy`;

/**
 * What a proxy in front of Redis makes of a failover: no connection breaks and nothing is refused, but the last seconds of
 * every key are missing. Nobody has a reason to look before he writes on; and clients were away meanwhile.
 */
async function rollBack({ stack, clients, random, log, signal }: World): Promise<void> {
  const lagMs = random.integer(1_000, 6_000);
  await withRedis(stack.redis, async redis => {
    const copy = (await redis.callBuffer('EVAL', copyScript, 0)) as [Buffer, number, Buffer][];
    const comeBack = await clients.leave(random, clients.idle / 4);
    try {
      await pause(lagMs, signal);
      const back = redis.multi().flushall();
      for (const [key, lifeMs, content] of copy) back.restore(key, Math.max(0, lifeMs), content);
      const failed = (await back.exec())?.find(([error]) => error !== null);
      if (failed !== undefined) throw failed[0];
      log(`${copy.length} keys are as they were ${lagMs} ms ago`);
      await pause(random.integer(1_000, 3_000), signal);
    } finally {
      comeBack();
    }
  });
}

function replicaArguments(master: string, folder: string, path: string): string[] {
  const { hostname, port } = new URL(master);
  return [
    ...['--port', '0', '--unixsocket', path, '--dir', folder],
    ...['--appendonly', 'yes', '--save', '', '--replicaof', hostname, port],
  ];
}

/** It has everything, and has written it down. */
async function inStep(path: string): Promise<boolean> {
  return withRedis({ path }, async redis => {
    const info = await redis.info();
    return ['master_link_status:up', 'aof_rewrite_in_progress:0', 'aof_rewrite_scheduled:0'].every(line =>
      info.includes(line),
    );
  }).catch(() => false);
}
