import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import type { RecordStream } from '../../../../lib/replay/index.ts';
import { type ScratchRedis, startScratchRedis } from '../../../support/scratch-redis.ts';
import { until } from '../../../support/until.ts';
import { offsetsOf, position, type Replica, request, take } from '../streams-on-kafka.ts';
import {
  type BufferedStreams,
  countOf,
  type Deployment,
  openBufferedStreams,
  resumedFrom,
} from './buffered-streams.ts';

let world: BufferedStreams;
let server: ScratchRedis;
before(async () => {
  server = await startScratchRedis();
  world = await openBufferedStreams(server.url);
});
after(async () => {
  for (const hand of hands) hand.disconnect();
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

const some = (count: number) => Array.from({ length: count }, () => ({ key: 'k' }));
const inStep = (replica: Replica, records: number) =>
  until(`${records} records are in Redis`, async () => {
    const kept =
      (await countOf(replica, 'buffer_degraded_partitions')) === 0 &&
      (await countOf(replica, 'buffer_lag_records')) === 0;
    return kept && (await countOf(replica, 'buffer_appended_total')) >= records;
  });

/** An owner with a live stream and ten records, all in Redis. */
async function begun() {
  const topic = await world.kafka.topic(1);
  const redis = world.deployment();
  const owner = world.owner(topic, { redis, generation: 1 });
  const live = await owner.streams.open(request(topic));
  await until('there is a window', async () => (await countOf(owner, 'buffer_windows_total')) === 1);
  await world.write(topic, 0, some(10));
  await take(live, 10);
  await inStep(owner, 10);
  return { topic, redis, owner, live };
}

/** Goes on behind offset 4 at a gateway that has seen nothing. @returns which tier had it. */
async function resumed(topic: string, redis: Deployment, end: number): Promise<string> {
  const other = world.replica({}, redis);
  const start = { kind: 'position', position: position(topic, [0, 4]) } as const;
  const stream = await other.streams.open(request(topic, { key: 'k', start }));
  const expected = Array.from({ length: end - 5 }, (_, index) => index + 5);
  assert.deepEqual(offsetsOf(await take(stream, end - 5)), expected);
  await until('it is live', () => stream.watermark().partitions[0]?.offset === end - 1);
  for (const tier of ['memory', 'redis', 'kafka'] as const) {
    if ((await resumedFrom(other, tier)) === 1) return tier;
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
    await until('it is degraded', async () => (await countOf(owner, 'buffer_degraded_partitions')) === 1);
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
  await until('the ring is in Redis again', async () => (await countOf(owner, 'buffer_appended_total')) === 25);
  assert.equal(await countOf(owner, 'buffer_holes_total'), 1);
  assert.equal(await countOf(owner, 'buffer_windows_total'), 2);
  assert.equal(await resumed(topic, redis, 15), 'redis');
});

test('a new owner reads from the log what the old one did not append, and has it in its ring', async () => {
  const { topic, redis, owner, live } = await begun();
  owner.streams.leaveBuffer(topic, 0);
  await deliversMore(topic, live);
  const next = world.owner(topic, { redis, generation: 2 });
  await until('it has filled the gap', async () => (await countOf(next, 'buffer_appended_total')) === 5);
  assert.equal(await countOf(next, 'buffer_windows_total'), 0);
  const start = { kind: 'position', position: position(topic, [0, 9]) } as const;
  const stream = await next.streams.open(request(topic, { start }));
  assert.equal((await take(stream, 5)).length, 5);
  assert.equal(await resumedFrom(next, 'memory'), 1);
  assert.equal(await resumed(topic, redis, 15), 'redis');
});

test('a zombie is fenced out and stops; a member of a group that counts anew is not', async () => {
  const { topic, redis, owner, live } = await begun();
  const next = world.owner(topic, { redis, generation: 2 });
  const follow = await next.streams.open(request(topic));
  await deliversMore(topic, live);
  await take(follow, 5);
  await until('the zombie is told', async () => (await countOf(owner, 'fenced_total')) === 1);
  await until('the new owner appends', async () => (await countOf(next, 'buffer_appended_total')) === 5);
  assert.equal(await countOf(owner, 'buffer_appended_total'), 10);

  const reborn = world.owner(topic, { redis, generation: 1, verify: async () => 'member' });
  const third = await reborn.streams.open(request(topic));
  await until('it has begun above the newer fence', async () => (await countOf(reborn, 'buffer_windows_total')) === 1);
  await deliversMore(topic, live);
  await take(third, 5);
  await until('it appends', async () => (await countOf(reborn, 'buffer_appended_total')) === 5);
  await until('the other one is told', async () => (await countOf(next, 'fenced_total')) === 1);
});
