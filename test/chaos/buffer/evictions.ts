import { Redis } from 'ioredis';
import { until } from '../../support/until.ts';

export interface Span {
  fromMs: number;
  toMs: number;
}

const everyMs = 500;

/**
 * When Redis may have evicted keys, by its own clock, from when it resolves: looked at now and then, for nothing says so
 * when it happens.
 */
export async function watchEvictions(url: string): Promise<{ stop(): Promise<readonly Span[]> }> {
  const options = { lazyConnect: true, enableOfflineQueue: false, commandTimeout: 1_000, maxRetriesPerRequest: 0 };
  const redis = new Redis(url, options);
  redis.on('error', () => undefined); // it is killed on purpose
  await redis.connect();
  const spans: Span[] = [];
  let last = await look(redis);
  let looking: Promise<void> | undefined;
  const timer = setInterval(() => {
    if (redis.status !== 'ready') return;
    looking ??= compare()
      .catch(() => undefined)
      .finally(() => (looking = undefined));
  }, everyMs);

  async function compare(): Promise<void> {
    const now = await look(redis);
    // One that was started again counts anew.
    const before = now.run === last.run ? last.evicted : '0';
    if (now.evicted !== before) spans.push({ fromMs: last.fromMs, toMs: now.toMs });
    last = now;
  }

  return {
    async stop() {
      clearInterval(timer);
      await looking;
      // Where Redis came back just now this connection may not have yet: nothing would be known since its last look.
      await until('Redis to be back', () => redis.status === 'ready', 10_000).catch(() => undefined);
      await compare().catch(() => spans.push({ fromMs: last.fromMs, toMs: Number.POSITIVE_INFINITY }));
      redis.disconnect();
      return spans;
    },
  };
}

async function look(redis: Redis): Promise<Span & { run: string | undefined; evicted: string | undefined }> {
  const fromMs = await clockOf(redis);
  const info = await redis.info();
  const [run, evicted] = ['run_id', 'evicted_keys'].map(name => new RegExp(`^${name}:(\\w+)`, 'm').exec(info)?.[1]);
  return { fromMs, toMs: await clockOf(redis), run, evicted };
}

async function clockOf(redis: Redis): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1_000 + Number(microseconds) / 1_000;
}
