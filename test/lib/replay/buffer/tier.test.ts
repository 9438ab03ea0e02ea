import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openReader } from '../../../../lib/kafka/index.ts';
import { bufferMetrics } from '../../../../lib/replay/buffer/metrics.ts';
import { prove } from '../../../../lib/replay/buffer/proof.ts';
import { openBufferStore } from '../../../../lib/replay/buffer/store.ts';
import { BufferWriter, type WriterParts } from '../../../../lib/replay/buffer/writer.ts';
import { openFreshOffsets } from '../../../../lib/replay/fresh-offsets.ts';
import { openHistories } from '../../../../lib/replay/history.ts';
import { openRings } from '../../../../lib/replay/ring.ts';
import { openTails } from '../../../../lib/replay/tail.ts';
import { openPlaces } from '../../../../lib/replay/waiting.ts';
import { quietOps } from '../../../support/quiet-ops.ts';
import { until } from '../../../support/until.ts';
import { offsetsOf, position, type Replica, request, take } from '../streams-on-kafka.ts';
import { type BufferedStreams, claimOf, countOf, openBufferedStreams, resumedFrom } from './buffered-streams.ts';

let world: BufferedStreams;
before(async () => {
  world = await openBufferedStreams();
});
after(() => world.close());

const numbered = (key: string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => ({ key, value: `${key}${from + index}` }));
const appended = (replica: Replica, records: number) =>
  until(`${records} records are appended`, async () => (await countOf(replica, 'buffer_appended_total')) >= records);

test('a cursor is served from Redis by a gateway that has never seen its records, and from the ring behind that', async () => {
  const topic = await world.kafka.topic(1);
  const redis = world.deployment();
  const owner = world.owner(topic, { redis, generation: 1 });
  const live = await owner.streams.open(request(topic));
  await world.write(topic, 0, [...numbered('alice', 0, 30), ...numbered('bob', 0, 30), ...numbered('alice', 30, 40)]);
  const records = await take(live, 70);
  await appended(owner, 70);

  const next = world.owner(topic, { redis, generation: 2 });
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
  assert.equal(await resumedFrom(next, 'redis'), 4);
  assert.equal(await countOf(next, 'scanned_bytes_total'), 0);
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

test('what waits for its turn to be appended is what was in memory when it was chosen', async () => {
  const topic = await world.kafka.topic(1);
  const at = { topic, partition: 0 };
  const { log, metrics } = quietOps();
  const reader = openReader(world.kafka.connection, { maxWaitMs: 100, partitionBytes: 262_144 });
  const offsets = openFreshOffsets(world.kafka.topics);
  const histories = openHistories(world.kafka.topics);
  const tails = openTails({ reader, offsets, histories, rings: openRings(10_000_000), log });
  const retention = { keyRecords: 1_000, ageMs: 600_000, partitionBytes: 10_000_000 };
  const store = openBufferStore(world.client, world.deployment().name, retention);
  const places = openPlaces(1, 10);
  let asked = 0;
  const parts: WriterParts = {
    ...{ store, topics: world.kafka.topics, histories, log, maxFill: 0, maxFillBytes: 0, health: () => undefined },
    scans: { join: () => () => undefined, close: () => undefined },
    metrics: bufferMetrics(metrics, { degraded: () => 0, lag: () => 0 }),
    places: {
      take(owner) {
        asked += 1;
        return places.take(owner);
      },
    },
    soon: writer => void setTimeout(() => writer.run(), 1),
  };
  const writer = new BufferWriter(at, tails.acquire(at, true), claimOf(1), parts);
  const identity = await world.kafka.topics.identity(topic);
  const read = async () => store.read({ ...at, topicId: identity?.topicId }, { key: 'alice', after: 9 });
  await world.write(topic, 0, numbered('alice', 0, 10));
  await until('the first ten are appended', async () => (await read())?.tail === 9);

  const leave = await places.take('somebody else');
  const before = asked;
  await world.write(topic, 0, numbered('alice', 10, 20));
  await until('the next ones wait for their turn', () => asked > before);
  writer.close();
  leave?.();
  await places.take('somebody else'); // when the writer is done with its own
  const proof = prove({ after: 9 }, await read(), false);
  const through = proof?.through ?? 9;
  assert.deepEqual(
    proof?.entries.map(({ offset }) => offset),
    Array.from({ length: through - 9 }, (_, index) => 10 + index),
  );
  tails.close();
  await reader.close();
});
