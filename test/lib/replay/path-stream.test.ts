import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PenstockError } from '../../../lib/errors.ts';
import { partitionOf, readGrowths, recordGrowth } from '../../../lib/kafka/index.ts';
import { openPathStream, pathOf, type StreamPosition, type StreamStart } from '../../../lib/replay/index.ts';
import { openStreamsOnKafka, type StreamsOnKafka, take, valuesOf } from './streams-on-kafka.ts';

let world: StreamsOnKafka;
before(() => {
  world = openStreamsOnKafka();
});
after(() => world.close());

const names = Array.from({ length: 100 }, (_, i) => `user-${i}`);
const moved = names.find(name => partitionOf(name, 2) !== partitionOf(name, 3)) ?? '';
const stayed = names.find(name => partitionOf(name, 2) === partitionOf(name, 3)) ?? '';

/** A topic as it is, opened for a key at any replica. */
async function open(topic: string, key: string, start: StreamStart) {
  const count = (await world.kafka.topics.partitionCount(topic)) ?? 0;
  const growths = (await readGrowths(world.kafka.topics, [topic])).get(topic) ?? [];
  const { streams } = world.replica();
  const records = {
    ...streams,
    offsetAt: (name: string, partition: number, timestampMs: number) =>
      world.kafka.topics.offsetAt({ topic: name, partition }, timestampMs),
  };
  return openPathStream(records, { topic, key, start, path: pathOf(key, count, growths), bufferBytes: 1_000_000 });
}

async function write(topic: string, from: number, to: number): Promise<void> {
  const count = (await world.kafka.topics.partitionCount(topic)) ?? 0;
  for (let n = from; n < to; n++) {
    for (const key of [moved, stayed]) {
      await world.write(topic, partitionOf(key, count), [{ key, value: `${n}`, sequence: n + 1 }]);
    }
  }
}

async function grow(topic: string, recorded = true): Promise<void> {
  const { topics } = world.kafka;
  const { topicId = '' } = (await topics.identity(topic)) ?? {};
  const bounds = await topics.offsets(topic, [0, 1]);
  const ends = [0, 1].map(partition => bounds.get(partition)?.end ?? 0);
  if (recorded) {
    const parts = { topics, lanes: world.lanes, replicationFactor: 1 };
    await recordGrowth(parts, topic, { from: 2, to: 3, topicId, ends: [0, 0] }); // one that never came about
    await recordGrowth(parts, topic, { from: 2, to: 3, topicId, ends });
  }
  await topics.grow(topic, 3);
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `${from + i}`);

test('whose key moves to another partition, and whose does not, get everything once and in order, from wherever they were', async () => {
  const topic = await world.kafka.topic(2);
  await write(topic, 0, 10);
  const cursors = new Map<string, StreamPosition[]>();
  for (const key of [moved, stayed]) {
    const stream = await open(topic, key, { kind: 'earliest' });
    const found: StreamPosition[] = [];
    while (found.length < 10) for (const record of (await stream.next()) ?? []) found.push(stream.advance(record));
    stream.close();
    cursors.set(key, found);
  }
  await grow(topic);
  await write(topic, 10, 20);

  for (const key of [moved, stayed]) {
    const all = await open(topic, key, { kind: 'earliest' });
    assert.deepEqual(valuesOf(await take(all, 20)), numbers(0, 20));
    all.close();
    for (const seen of [1, 5, 10]) {
      const position = cursors.get(key)?.[seen - 1];
      assert.ok(position);
      const stream = await open(topic, key, { kind: 'position', position });
      const some = valuesOf(await take(stream, 1));
      assert.deepEqual(some, numbers(seen, seen + some.length));
      // and on from there once more, wherever on the path that is
      const again = await open(topic, key, { kind: 'position', position: stream.watermark() });
      stream.close();
      const left = 20 - seen - some.length;
      if (left > 0) assert.deepEqual(valuesOf(await take(again, left)), numbers(20 - left, 20));
      again.close();
    }
    const now = await open(topic, key, { kind: 'now' });
    assert.deepEqual(
      now.watermark().partitions.map(({ partition }) => partition),
      [partitionOf(key, 3)],
    );
    now.close();
  }
});

test("a view's position goes on behind what it has of each partition", async () => {
  const topic = await world.kafka.topic(2);
  await write(topic, 0, 4);
  await grow(topic);
  await write(topic, 4, 8);
  const [old, now] = [partitionOf(moved, 2), partitionOf(moved, 3)];
  const bounds = await world.kafka.topics.offsets(topic, [0, 1, 2]);
  // all of the old partition, and of the new one all but the last two of the key
  const ours: number[] = [];
  for (let offset = 0; offset < (bounds.get(now)?.end ?? 0); ) {
    const batch = await world.kafka.topics.fetch({ topic, partition: now }, offset, 1_000_000);
    ours.push(...batch.records.filter(({ key }) => key?.toString() === moved).map(record => record.offset));
    offset = batch.nextOffset;
  }
  const point = (partition: number, offset: number) => ({ topic, partition, offset, timestampMs: -1 });
  const position = {
    partitions: [point(old, (bounds.get(old)?.end ?? 0) - 1), point(now, (ours.at(-2) ?? 0) - 1)],
    sequences: {},
  };
  const stream = await open(topic, moved, { kind: 'position', position });
  assert.deepEqual(valuesOf(await take(stream, 2)), ['6', '7']);
  stream.close();
});

test('a cursor of a topic that somebody else has grown is expired, not served from another partition', async () => {
  const topic = await world.kafka.topic(2);
  await write(topic, 0, 3);
  const stream = await open(topic, moved, { kind: 'earliest' });
  await take(stream, 2);
  const position = stream.watermark();
  stream.close();
  await grow(topic, false);
  const isExpired = (error: unknown) =>
    error instanceof PenstockError && error.code === 'CURSOR_EXPIRED' && /another partition/.test(error.message);
  await assert.rejects(open(topic, moved, { kind: 'position', position }), isExpired);
});
