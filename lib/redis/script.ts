import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RedisClient } from './connection.ts';

export type ScriptArgument = string | number | Buffer;

/** A Lua script. All its keys, declared or made from a declared one, are in one slot. */
export interface Script {
  /** The answer, texts as UTF-8. */
  run(redis: RedisClient, keys: readonly string[], args: readonly ScriptArgument[]): Promise<unknown>;
  /** The answer, texts as the bytes that they are. */
  runForBytes(redis: RedisClient, keys: readonly string[], args: readonly ScriptArgument[]): Promise<unknown>;
}

/** @param source a file beside the caller, or Lua. It is sent by its hash, and in full where Redis does not know it. */
export function openScript(source: URL | string): Script {
  const lua = typeof source === 'string' ? source : readFileSync(source, 'utf8');
  const sha = createHash('sha1').update(lua).digest('hex');
  return {
    run: (redis, keys, args) =>
      known(
        () => redis.evalsha(sha, keys.length, ...keys, ...args),
        () => redis.eval(lua, keys.length, ...keys, ...args),
      ),
    runForBytes: (redis, keys, args) =>
      known(
        () => redis.callBuffer('evalsha', sha, keys.length, ...keys, ...args),
        () => redis.callBuffer('eval', lua, keys.length, ...keys, ...args),
      ),
  };
}

async function known(byHash: () => Promise<unknown>, inFull: () => Promise<unknown>): Promise<unknown> {
  try {
    return await byHash();
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return inFull();
  }
}
