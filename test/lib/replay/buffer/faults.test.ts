import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { closeRedis, connectRedis, type RedisClient } from '../../../../lib/redis/index.ts';
import type { BufferClaim, RecordStream } from '../../../../lib/replay/index.ts';
import { quietOps } from '../../../support/quiet-ops.ts';
import { type ScratchRedis, startScratchRedis } from '../../../support/scratch-redis.ts';
import { until } from '../../../support/until.ts';
import {
  offsetsOf,
  openStreamsOnKafka,
  position,
  type Replica,
  request,
  type StreamsOnKafka,
  take,
} from '../streams-on-kafka.ts';

let world: StreamsOnKafka;
let server: ScratchRedis;
let client: RedisClient;
before(async () => {
  world = openStreamsOnKafka();
  server = await startScratchRedis();
  client = connectRedis({ url: server.url, tlsCaFile: undefined }, quietOps(), () => undefined);
  await until('Redis is connected', () => client.status === 'ready');
});
after(async () => {
  for (const hand of hands) hand.disconnect();
  closeRedis(client);
  await world.close();
  await server.close();
});

const hands: Redis[] = [];
/** A connection of the test's own. */
function open(): Redis {
  const hand = new Redis(server.url, { retryStrategy: () => 50 });
  hand.on('error', () => undefined);
  hands.push(hand);
  return hand;
}

let names = 0;
const deployment = () => ({ client, name: `d${(names += 1)}` });
const claim = (generation: number, verify: BufferClaim['verify'] = async () => 'zombie'): BufferClaim => ({
  ...{ generation, counter: 1, verify },
});
const some = (count: number) => Array.from({ length: count }, () => ({ key: 'k' }));
const of = (replica: Replica, name: string) => replica.metric(`penstock_replay_${name}`);
const inStep = (replica: Replica, records: number) =>
  until(`${records} records are in Redis`, async () => {
    const kept =
      (await of(replica, 'buffer_degraded_partitions')) === 0 && (await of(replica, 'buffer_lag_records')) === 0;
    return kept && (await of(replica, 'buffer_appended_total')) >= records;
  });

/** An owner with a live stream and ten records, all in Redis. */
async function begun() {
  const topic = await world.kafka.topic(1);
  const redis = deployment();
  const owner = world.replica({ ringBytes: 10_000_000 }, redis);
  owner.streams.keepBuffer(topic, 0, claim(1));
  const live = await owner.streams.open(request(topic));
  await until('there is a window', async () => (await of(owner, 'buffer_windows_total')) === 1);
  await world.write(topic, 0, some(10));
  await take(live, 10);
  await inStep(owner, 10);
  return { topic, redis, owner, live };
}

/** Goes on behind offset 4 at a gateway that has seen nothing. @returns which tier had it. */
async function resumed(topic: string, redis: { client: RedisClient; name: string }, end: number): Promise<string> {
  const other = world.replica({}, redis);
  const start = { kind: 'position', position: position(topic, [0, 4]) } as const;
  const stream = await other.streams.open(request(topic, { key: 'k', start }));
  const expected = Array.from({ length: end - 5 }, (_, index) => index + 5);
  assert.deepEqual(offsetsOf(await take(stream, end - 5)), expected);
  await until('it is live', () => stream.watermark().partitions[0]?.offset === end - 1);
  for (const tier of ['memory', 'redis', 'kafka']) {
    if ((await other.metric('penstock_replay_resumed_total', { tier })) === 1) return tier;
  }
  return 'none';
}

async function deliversMore(topic: string, live: RecordStream): Promise<void> {
  await world.write(topic, 0, some(5));
  assert.equal((await take(live, 5)).length, 5);
}

const faults: Readonly<Record<string, { begin(redis: Redis): Promise<unknown>; end(redis: Redis): Promise<unknown> }>> =
  {
    gone: { begin: () => server.kill(), end: () => server.start() },
    paused: { begin: async () => server.pause(), end: async () => server.resume() },
    full: {
      begin: redis => redis.config('SET', 'maxmemory', '1'),
      end: redis => redis.config('SET', 'maxmemory', '0'),
    },
    'read-only': {
      begin: redis => redis.replicaof('127.0.0.1', 1),
      end: redis => redis.replicaof('NO', 'ONE'),
    },
  };
for (const [name, { begin, end }] of Object.entries(faults)) {
  test(`while Redis is ${name} records are delivered, the metric says so, and afterwards Redis has them`, async () => {
    const { topic, redis, owner, live } = await begun();
    const hand = open();
    await begin(hand);
    await deliversMore(topic, live);
    await until('it is degraded', async () => (await of(owner, 'buffer_degraded_partitions')) === 1);
    await deliversMore(topic, live);
    assert.equal(await resumed(topic, redis, 20), 'kafka', 'nobody waits for Redis');
    await end(hand);
    // Not counted: what a paused Redis has done although nobody waited for it any more.
    await inStep(owner, 10);
    assert.equal(await resumed(topic, redis, 20), 'redis');
  });
}

test('what a FLUSHALL takes, the owner puts back from its ring, and a cursor meanwhile is served from Kafka', async () => {
  const { topic, redis, owner, live } = await begun();
  await open().flushall();
  assert.equal(await resumed(topic, redis, 10), 'kafka');
  await deliversMore(topic, live);
  await until('the ring is in Redis again', async () => (await of(owner, 'buffer_appended_total')) === 25);
  assert.equal(await of(owner, 'buffer_holes_total'), 1);
  assert.equal(await of(owner, 'buffer_windows_total'), 2);
  assert.equal(await resumed(topic, redis, 15), 'redis');
});

test('a new owner reads from the log what the old one did not append, and has it in its ring', async () => {
  const { topic, redis, owner, live } = await begun();
  owner.streams.leaveBuffer(topic, 0);
  await deliversMore(topic, live);
  const next = world.replica({ ringBytes: 10_000_000 }, redis);
  next.streams.keepBuffer(topic, 0, claim(2));
  await until('it has filled the gap', async () => (await of(next, 'buffer_appended_total')) === 5);
  assert.equal(await of(next, 'buffer_windows_total'), 0);
  const start = { kind: 'position', position: position(topic, [0, 9]) } as const;
  const stream = await next.streams.open(request(topic, { start }));
  assert.equal((await take(stream, 5)).length, 5);
  assert.equal(await next.metric('penstock_replay_resumed_total', { tier: 'memory' }), 1);
  assert.equal(await resumed(topic, redis, 15), 'redis');
});

test('a zombie is fenced out and stops; a member of a group that counts anew is not', async () => {
  const { topic, redis, owner, live } = await begun();
  const next = world.replica({ ringBytes: 10_000_000 }, redis);
  next.streams.keepBuffer(topic, 0, claim(2));
  const follow = await next.streams.open(request(topic));
  await deliversMore(topic, live);
  await take(follow, 5);
  await until('the zombie is told', async () => (await of(owner, 'fenced_total')) === 1);
  await until('the new owner appends', async () => (await of(next, 'buffer_appended_total')) === 5);
  assert.equal(await of(owner, 'buffer_appended_total'), 10);

  const reborn = world.replica({ ringBytes: 10_000_000 }, redis);
  reborn.streams.keepBuffer(
    topic,
    0,
    claim(1, async () => 'member'),
  );
  const third = await reborn.streams.open(request(topic));
  await until('it has begun above the newer fence', async () => (await of(reborn, 'buffer_windows_total')) === 1);
  await deliversMore(topic, live);
  await take(third, 5);
  await until('it appends', async () => (await of(reborn, 'buffer_appended_total')) === 5);
  await until('the other one is told', async () => (await of(next, 'fenced_total')) === 1);
});
