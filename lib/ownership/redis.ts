import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Redis, type RedisOptions } from 'ioredis';
import type { Ops } from '../ops/index.ts';

/** Longest wait for an answer, ms. Whatever needs Redis has a way to do without it: better a quick no than a hang. */
const commandTimeoutMs = 1_000;
const connectTimeoutMs = 2_000;
/** How often a server that keeps its connection is asked whether it still answers, ms. */
const probeMs = 1_000;
const firstRetryMs = 50;
const mostRetryMs = 1_000;

const options = {
  commandTimeout: commandTimeoutMs,
  connectTimeout: connectTimeoutMs,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  retryStrategy: (times: number) => Math.min(mostRetryMs, firstRetryMs * 2 ** Math.min(times, 10)),
} satisfies RedisOptions;

/**
 * A connection that never makes anybody wait: while Redis is away every command rejects at once, and it connects again
 * by itself within about a second of Redis being back. Its state is the readiness reason `redis`, also for a server that
 * keeps its connection and says nothing: it is asked every second.
 */
export function openRedis(url: string, ops: Pick<Ops, 'log' | 'readiness'>): Redis {
  const redis = new Redis(url, options);
  let trouble: string | undefined;
  ops.readiness.set('redis', 'connecting');
  const tell = (reason: string | undefined) => {
    ops.readiness.set('redis', reason);
    if (reason === trouble) return;
    if (reason === undefined) ops.log.info('Redis is back');
    else ops.log.warn(reason);
    trouble = reason;
  };
  redis.on('ready', () => tell(undefined));
  redis.on('close', () => tell('Redis is away'));
  let probing = false;
  const probe = setInterval(() => {
    if (redis.status !== 'ready' || probing) return;
    probing = true;
    redis
      .ping()
      .then(
        () => tell(undefined),
        () => {
          if (redis.status === 'ready') tell(`Redis has not answered for ${commandTimeoutMs} ms`);
        },
      )
      .finally(() => {
        probing = false;
      });
  }, probeMs).unref();
  redis.on('end', () => clearInterval(probe));
  // Each failed attempt is an error event; `close` has said it once.
  redis.on('error', error => ops.log.debug({ error }, 'Redis connection'));
  return redis;
}

/** Ends a connection, whatever state it is in; a second call does no harm. */
export function closeRedis(redis: Redis): void {
  redis.disconnect();
}

/** A Lua script in a file beside the caller, sent by its hash, and in full where Redis does not know it. */
export function openScript(
  file: URL,
): (redis: Redis, keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown> {
  const lua = readFileSync(file, 'utf8');
  const sha = createHash('sha1').update(lua).digest('hex');
  return async (redis, keys, args) => {
    try {
      return await redis.evalsha(sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return redis.eval(lua, keys.length, ...keys, ...args);
    }
  };
}
