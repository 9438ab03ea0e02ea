import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PenstockError } from '../../../lib/errors.ts';
import type { RecordStream, StreamPosition, StreamRecord } from '../../../lib/replay/index.ts';
import { topicMark } from '../../../lib/replay/topic-mark.ts';
import { until } from '../../support/until.ts';
import {
  forget,
  offsetsOf,
  openStreamsOnKafka,
  position,
  request,
  type StreamsOnKafka,
  take,
  valuesOf,
} from './streams-on-kafka.ts';

let world: StreamsOnKafka;
before(() => {
  world = openStreamsOnKafka();
});
after(() => world.close());

const ten = Array.from({ length: 10 }, (_, index) => ({ key: 'k', value: `${index}`, sequence: index + 1 }));

/** The position to go on from, of an error that must be CURSOR_EXPIRED. */
async function expired(ended: Promise<unknown>): Promise<StreamPosition> {
  const error = await ended.then(
    () => assert.fail('not expired'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof PenstockError && error.code === 'CURSOR_EXPIRED', String(error));
  return error.extensions.position as StreamPosition;
}

/** Takes until the stream ends with an error. */
async function drained(stream: RecordStream, show: (record: StreamRecord) => void = () => undefined): Promise<never> {
  for (;;) {
    for (const record of (await stream.next()) ?? []) {
      show(record);
      stream.advance(record);
    }
  }
}

const offsetsIn = ({ partitions }: StreamPosition) => partitions.map(({ offset }) => offset);

test('retention that has passed a position: it can go on at the beginning, other partitions where they were', async () => {
  const topic = await world.kafka.topic(2);
  await world.write(topic, 0, ten);
  await world.write(topic, 1, ten);
  await forget(world.kafka, topic, 0, 5);
  const { streams, metric } = world.replica();
  const at = { ...position(topic, [0, 2], [1, 7]), sequences: { [topic]: 3 } };
  const open = streams.open(request(topic, { partitions: [0, 1], start: { kind: 'position', position: at } }));
  const earliest = await expired(open);
  assert.deepEqual(offsetsIn(earliest), [4, 7]);
  assert.deepEqual(earliest.sequences, { [topic]: 3 });
  assert.equal(await metric('penstock_replay_expired_total'), 1);
  const again = await streams.open(
    request(topic, { partitions: [0, 1], start: { kind: 'position', position: earliest } }),
  );
  assert.deepEqual(offsetsOf(await take(again, 7)).sort(), [5, 6, 7, 8, 8, 9, 9]);
  const kept = position(topic, [0, 4], [1, 9]);
  await streams.open(request(topic, { partitions: [0, 1], start: { kind: 'position', position: kept } }));
});

test('retention that has passed a position since the brokers were asked last is told by the stream, or before it opens', async () => {
  const topic = await world.kafka.topic(1);
  const { streams } = world.replica();
  const live = await streams.open(request(topic));
  await world.write(topic, 0, ten);
  await take(live, 10);
  const at = { ...live.watermark(), ...position(topic, [0, 2]) };
  const open = () => streams.open(request(topic, { start: { kind: 'position', position: at } }));
  (await open()).close();
  await forget(world.kafka, topic, 0, 5);
  assert.deepEqual(offsetsIn(await expired(open().then(stream => drained(stream)))), [4]);
});

test('a timestamp that the log has not at the position is told though the topic is the same and its bounds are known', async () => {
  const topic = await world.kafka.topic(1);
  const { streams } = world.replica();
  const live = await streams.open(request(topic));
  await world.write(topic, 0, ten);
  await take(live, 10);
  const { topicMarks = {} } = live.watermark();
  const open = (at: StreamPosition) =>
    streams.open(request(topic, { start: { kind: 'position', position: { ...at, topicMarks } } }));
  // Both: the first asks the brokers, the second goes by what they said.
  for (const _ of ['asked', 'recent']) {
    const lost = open(position(topic, [0, 2, 1_234]));
    assert.deepEqual(offsetsIn(await expired(lost.then(stream => drained(stream)))), [-1]);
  }
});

test('a position past the end, in a partition or a topic that does not exist, is expired', async () => {
  const topic = await world.kafka.topic(1);
  await world.write(topic, 0, ten);
  const { streams } = world.replica();
  const at = { ...position(topic, [0, 10]), sequences: { [topic]: 30 } };
  const earliest = await expired(streams.open(request(topic, { start: { kind: 'position', position: at } })));
  assert.deepEqual(offsetsIn(earliest), [-1]);
  assert.deepEqual(earliest.sequences, {});
  const no = (name: string, partition: number) =>
    request(name, { partitions: [partition], start: { kind: 'position', position: position(name, [partition, 1]) } });
  assert.deepEqual(offsetsIn(await expired(streams.open(no(topic, 7)))), [-1]);
  assert.deepEqual(offsetsIn(await expired(streams.open(no('there-is-no-such-topic', 0)))), [-1]);
});

test('a topic that was made anew is told by the timestamp of the record at the position', async () => {
  const topic = await world.kafka.topic(2);
  const { streams } = world.replica();
  await world.write(topic, 0, ten);
  await world.write(topic, 1, ten);
  for (const key of ['k', 'somebody else']) {
    const at = { ...position(topic, [0, 6, 1_234], [1, 3]), sequences: { [topic]: 7 } };
    const stream = await streams.open(
      request(topic, { partitions: [0, 1], key, start: { kind: 'position', position: at } }),
    );
    const earliest = await expired(drained(stream));
    assert.deepEqual(offsetsIn(earliest), [-1, -1]);
    assert.deepEqual(earliest.sequences, {});
  }
});

test('a held partition tells a topic that was made anew, too', async () => {
  const topic = await world.kafka.topic(1);
  const { streams } = world.replica({ ringBytes: 1_000_000 });
  await streams.hold(topic, 0);
  const live = await streams.open(request(topic));
  await world.write(topic, 0, ten);
  await take(live, 10);
  for (const offset of [4, 9]) {
    const at = position(topic, [0, offset, 1_234]);
    const stream = await streams.open(request(topic, { start: { kind: 'position', position: at } }));
    assert.deepEqual(offsetsIn(await expired(drained(stream))), [-1]);
  }
});

test('a live stream ends when its topic is deleted, a tap goes on when it is there again', async () => {
  const topic = await world.kafka.topic(1);
  const { streams } = world.replica();
  await world.write(topic, 0, ten);
  const stream = await streams.open(request(topic));
  const seen: string[] = [];
  await streams.tap(topic, 0, ({ value }) => seen.push(`${value}`));
  await world.write(topic, 0, [{ key: 'k', value: 'last' }]);
  await take(stream, 1);
  await world.kafka.remove(topic);
  assert.deepEqual(offsetsIn(await expired(stream.next())), [-1]);
  await world.kafka.topics.ensure([{ name: topic, partitions: 1, replicationFactor: 1 }]);
  let count = 0;
  await until('the tap shows records again', async () => {
    await world.write(topic, 0, [{ key: 'k', value: `new ${(count += 1)}` }]);
    return seen.some(value => value.startsWith('new'));
  });
  await world.kafka.remove(topic);
});

/** Deletes the topic, makes it again and fills it, as quickly as that goes. */
async function makeAnew(topic: string, partitions: number, records: number): Promise<void> {
  await world.kafka.remove(topic);
  await world.kafka.topics.ensure([{ name: topic, partitions, replicationFactor: 1 }]);
  const values = Array.from({ length: records }, (_, i) => ({ key: 'k', value: `new ${i}` }));
  for (let partition = 0; partition < partitions; partition++) await world.write(topic, partition, values);
}

test('a live stream whose topic is made anew and refilled past its position ends, and shows none of the new records', async () => {
  const topic = await world.kafka.topic(2);
  const { streams } = world.replica({ ringBytes: 1_000_000 });
  await streams.hold(topic, 0);
  const live = await streams.open(request(topic, { partitions: [0, 1], key: 'k' }));
  await world.write(topic, 0, ten);
  await take(live, 10);
  await makeAnew(topic, 2, 30);
  const shown: string[] = [];
  const earliest = await expired(drained(live, record => shown.push(`${record.record.value}`)));
  assert.deepEqual(shown, []);
  assert.deepEqual(offsetsIn(earliest), [-1, -1]);
  assert.deepEqual(earliest.sequences, {});

  const again = await streams.open(
    request(topic, { partitions: [0, 1], start: { kind: 'position', position: earliest } }),
  );
  assert.ok(valuesOf(await take(again, 60)).every(value => value?.startsWith('new')));
  await world.kafka.remove(topic);
});

test('where to go on names the topic that was made anew, and a replica that still reads the old one waits until it does not', async () => {
  const topic = await world.kafka.topic(1);
  const replicas = [world.replica({ ringBytes: 1_000_000 }), world.replica({ ringBytes: 1_000_000 })];
  const live = await Promise.all(
    replicas.map(async ({ streams }) => {
      await streams.hold(topic, 0);
      return streams.open(request(topic, { key: 'k' }));
    }),
  );
  await world.write(topic, 0, ten);
  await Promise.all(live.map(stream => take(stream, 10)));
  await makeAnew(topic, 1, 30);
  const ended = live.map(async (stream, index) => {
    const earliest = await expired(drained(stream));
    const { topicId = '' } = (await world.kafka.topics.identity(topic)) ?? {};
    assert.deepEqual(earliest.topicMarks, { [topic]: topicMark(topicId) });
    // The other one: whichever noticed first finds one that has not.
    const { streams } = replicas[1 - index] ?? world.replica();
    const again = await streams.open(request(topic, { key: 'k', start: { kind: 'position', position: earliest } }));
    assert.ok(valuesOf(await take(again, 30)).every(value => value?.startsWith('new')));
  });
  await Promise.all(ended);
  await world.kafka.remove(topic);
});

test('a position of a topic that was made anew is expired, though the new one has its offset and nobody knows its time', async () => {
  const topic = await world.kafka.topic(1);
  const { streams } = world.replica();
  const stream = await streams.open(request(topic));
  await world.write(topic, 0, ten);
  await take(stream, 10);
  const { partitions, ...rest } = stream.watermark();
  stream.close();
  await makeAnew(topic, 1, 30);
  const at = { ...rest, partitions: partitions.map(item => ({ ...item, timestampMs: -1 })) };
  const opening = world.replica().streams.open(request(topic, { start: { kind: 'position', position: at } }));
  assert.deepEqual(offsetsIn(await expired(opening)), [-1]);
  await world.kafka.remove(topic);
});

test('a stream whose next records were deleted while it was slow ends, and says where it can go on', async () => {
  const topic = await world.kafka.topic(1);
  const { streams } = world.replica();
  const slow = await streams.open(request(topic, { bufferBytes: 1_000 }));
  const value = 'x'.repeat(500);
  await world.write(
    topic,
    0,
    Array.from({ length: 100 }, () => ({ key: 'k', value })),
  );
  await until('the tail has passed them', () => slow.watermark().partitions[0]?.offset === -1);
  await forget(world.kafka, topic, 0, 60);
  assert.deepEqual(offsetsIn(await expired(drained(slow))), [59]);
});

test('a replay over its budget ends where it has come to, and goes on from there without a loss', async () => {
  const topic = await world.kafka.topic(1);
  const value = 'x'.repeat(2_000);
  for (let part = 0; part < 10; part += 1) {
    await world.write(
      topic,
      0,
      Array.from({ length: 100 }, (_, i) => ({ key: `k${i % 10}`, value })),
    );
  }
  const { streams } = world.replica({ scanMaxBytes: 800_000 });
  let at = position(topic, [0, -1]);
  const records: number[] = [];
  let ends = 0;
  while (records.length < 100) {
    const stream = await streams.open(request(topic, { key: 'k3', start: { kind: 'position', position: at } }));
    const ended = (async () => {
      while (records.length < 100) {
        for (const record of (await stream.next()) ?? []) {
          stream.advance(record);
          records.push(record.record.offset);
        }
      }
    })();
    const over = await ended.then(
      () => false,
      () => true,
    );
    if (over) {
      ends += 1;
      at = await expired(ended);
    }
    stream.close();
  }
  assert.ok(ends > 1, `${ends} ends`);
  assert.deepEqual(
    records,
    Array.from({ length: 100 }, (_, i) => i * 10 + 3),
  );
});

test('where a cursor of another cluster can go on', async () => {
  const topic = await world.kafka.topic(2);
  await world.write(topic, 1, ten);
  await forget(world.kafka, topic, 1, 4);
  const { streams } = world.replica();
  const { topicMarks, ...earliest } = await streams.earliest(topic, [0, 1]);
  assert.deepEqual(earliest, position(topic, [0, -1], [1, 3]));
  const { topicId = '' } = (await world.kafka.topics.identity(topic)) ?? {};
  assert.deepEqual(topicMarks, { [topic]: topicMark(topicId) });
});
