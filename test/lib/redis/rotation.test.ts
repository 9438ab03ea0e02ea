import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { closeRedis, connectRedis } from '../../../lib/redis/index.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { type ScratchRedis, startScratchRedis } from '../../support/scratch-redis.ts';
import { until } from '../../support/until.ts';

let server: ScratchRedis;
before(async () => {
  server = await startScratchRedis();
});
after(async () => {
  await server?.close();
});

test('a password that is rotated counts for the next connection', async () => {
  const admin = new Redis(server.url);
  await admin.config('SET', 'requirepass', 'first');
  const config = { url: `redis://:first@127.0.0.1:${server.port}`, tlsCaFile: undefined };
  const redis = connectRedis(config, quietOps(), () => undefined);
  await until('the first password is good', () => redis.status === 'ready');
  const id = (await redis.client('ID')) as number;

  await admin.config('SET', 'requirepass', 'second');
  config.url = `redis://:second@127.0.0.1:${server.port}`;
  await admin.client('KILL', 'ID', id);
  await until('it is connected again with the second one', async () => {
    const now = redis.status === 'ready' ? await redis.client('ID').catch(() => id) : id;
    return now !== id;
  });
  assert.equal(await redis.set('k', 'v'), 'OK');
  closeRedis(redis);
  admin.disconnect();
});
