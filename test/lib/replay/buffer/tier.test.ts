import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { closeRedis, connectRedis, type RedisClient } from '../../../../lib/redis/index.ts';
import type { BufferClaim } from '../../../../lib/replay/index.ts';
import { quietOps } from '../../../support/quiet-ops.ts';
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
let client: RedisClient;
before(async () => {
  world = openStreamsOnKafka();
  client = connectRedis({ url: process.env.TEST_REDIS ?? '', tlsCaFile: undefined }, quietOps(), () => undefined);
  await until('Redis is connected', () => client.status === 'ready');
});
after(async () => {
  closeRedis(client);
  await world.close();
});

const numbered = (key: string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => ({ key, value: `${key}${from + index}` }));
const claim = (generation: number, verify: BufferClaim['verify'] = async () => 'zombie'): BufferClaim => ({
  generation,
  counter: 1,
  verify,
});
const deployment = () => ({ client, name: `test-${randomBytes(4).toString('hex')}` });
const appended = (replica: Replica, records: number) =>
  until(
    `${records} records are appended`,
    async () => (await replica.metric('penstock_replay_buffer_appended_total')) >= records,
  );

test('a cursor is served from Redis by a gateway that has never seen its records, and from the ring behind that', async () => {
  const topic = await world.kafka.topic(1);
  const redis = deployment();
  const owner = world.replica({ ringBytes: 10_000_000 }, redis);
  owner.streams.keepBuffer(topic, 0, claim(1));
  const live = await owner.streams.open(request(topic));
  await world.write(topic, 0, [...numbered('alice', 0, 30), ...numbered('bob', 0, 30), ...numbered('alice', 30, 40)]);
  const records = await take(live, 70);
  await appended(owner, 70);

  const next = world.replica({ ringBytes: 10_000_000 }, redis);
  next.streams.keepBuffer(topic, 0, claim(2));
  for (const [key, after] of [
    ['alice', 10],
    ['alice', 45],
    ['bob', 45],
    ['bob', 62],
  ] as const) {
    const cursor = position(topic, [0, after, records[after]?.record.timestampMs]);
    const stream = await next.streams.open(request(topic, { key, start: { kind: 'position', position: cursor } }));
    const expected = offsetsOf(records.filter(({ record }) => record.offset > after && `${record.key}` === key));
    assert.deepEqual(offsetsOf(await take(stream, expected.length)), expected);
    await until('it has caught up', () => stream.watermark().partitions[0]?.offset === 69);
    stream.close();
  }
  assert.equal(await next.metric('penstock_replay_resumed_total', { tier: 'redis' }), 4);
  assert.equal(await next.metric('penstock_replay_scanned_bytes_total'), 0);
  const whole = await next.streams.open(
    request(topic, { key: 'alice', start: { kind: 'position', position: position(topic, [0, 10]) } }),
  );
  const [first] = await take(whole, 1);
  const original = records[11];
  assert.deepEqual(
    { ...first?.record, value: `${first?.record.value}` },
    { ...original?.record, value: `${original?.record.value}` },
  );
});
