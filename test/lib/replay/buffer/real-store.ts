/** The real scripts on a real Redis, and by hand what goes wrong there. */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { type BufferScripts, bufferScripts, openBufferStore } from '../../../../lib/replay/buffer/store.ts';
import type { Retention } from '../../../../lib/replay/buffer/types.ts';
import type { FaultyStore } from './simulated-store.ts';

export function realStore(
  redis: Redis,
  topic: string,
  retention: Retention,
  scripts: BufferScripts = bufferScripts,
): FaultyStore {
  const name = randomBytes(4).toString('hex');
  const prefix = `penstock:{${topic}/0}:${name}`;
  const store = openBufferStore(redis, name, retention, scripts);
  const all = () => redis.keys(`${prefix.replace(/[*?[\]\\]/g, '\\$&')}*`);
  const remove = async (keys: readonly string[]) => {
    if (keys.length > 0) await redis.del(...keys);
  };
  const streamsOf = async (key: string) => (await all()).filter(one => /:key:[^:]*:(.*)$/.exec(one)?.[1] === key);
  let replica = new Map<string, Buffer>();
  return {
    ...store,
    flush: async () => remove(await all()),
    expire: async key => remove(await streamsOf(key)),
    async evict(part) {
      const keys = await all();
      await remove(part === 'window' ? [prefix] : keys.filter(key => key.startsWith(`${prefix}:${part}:`)));
    },
    async trim(key) {
      for (const stream of await streamsOf(key)) {
        await redis.xtrim(stream, 'MAXLEN', '=', Math.max(0, (await redis.xlen(stream)) - 1));
      }
    },
    async replicate() {
      replica = new Map();
      for (const key of await all()) {
        const dump = await redis.dumpBuffer(key);
        if (dump !== null) replica.set(key, dump);
      }
    },
    async failOver() {
      await remove(await all());
      for (const [key, dump] of replica) await redis.restore(key, 0, dump);
    },
    age: () => undefined,
    fingerprint: () => '',
  };
}
