import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import type kafkajs from 'kafkajs';
import { openCursorCodec, type RecordStream, type StreamPosition } from '../../../lib/replay/index.ts';
import { testKafka } from '../../support/dump.ts';
import { kafkaAddress } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';
import { type BufferedStreams, countOf, openBufferedStreams, resumedFrom } from './buffer/buffered-streams.ts';
import { position, request, take } from './streams-on-kafka.ts';

let world: BufferedStreams;
let producer: kafkajs.Producer;
before(async () => {
  world = await openBufferedStreams();
  producer = testKafka([kafkaAddress()]).producer();
  await producer.connect();
});
after(async () => {
  await producer?.disconnect();
  await world?.close();
});

const nowMs = Date.now();
/** As a producer may write them: milliseconds, microseconds, nanoseconds, the limits, none, and before 1970. */
const written: readonly (readonly [timestamp: string, read: number])[] = [
  [`${nowMs}`, nowMs],
  [`${nowMs}000`, nowMs * 1_000],
  [`${nowMs}000000`, -1],
  ['9007199254740990', 9_007_199_254_740_990],
  ['9007199254740991', -1],
  ['9223372036854775807', -1],
  ['-1', -1],
  ['-86400000', -1],
  [`${nowMs + 1}`, nowMs + 1],
];

async function strangersTopic(): Promise<string> {
  const topic = await world.kafka.topic(1, {
    'message.timestamp.type': 'CreateTime',
    'message.timestamp.after.max.ms': '9223372036854775807',
  });
  for (const [index, [timestamp]] of written.entries()) {
    // Each in a batch of its own: kafkajs computes the others of a batch from the first with numbers.
    await producer.send({ topic, messages: [{ key: 'k', value: `${index}`, timestamp }] });
  }
  return topic;
}

const codec = openCursorCodec(`k1:${randomBytes(32).toString('base64')}`);
/** What a client sends back of a position that it was given. */
function throughCursor(at: StreamPosition): StreamPosition {
  const names = { kind: 'stream', userKey: 'k', binding: 'f', clusterId: 'c' } as const;
  const { partitions, sequences, topicMarks } = codec.parse(codec.format({ ...names, ...at }));
  return { partitions, sequences, ...(topicMarks && { topicMarks }) };
}

async function rest(stream: RecordStream, count: number): Promise<number[]> {
  const records = await take(stream, count);
  stream.close();
  return records.map(({ record }) => record.timestampMs);
}

const all = written.map(([, read]) => read);

test('whatever its timestamp, the cursor behind a record is one to go on from, and so is a ping after it', async () => {
  const topic = await strangersTopic();
  const { streams } = world.replica();
  const stream = await streams.open(request(topic, { key: 'k', start: { kind: 'earliest' } }));
  const cursors: StreamPosition[] = [];
  while (cursors.length < all.length) {
    for (const record of (await stream.next()) ?? []) {
      cursors.push(throughCursor(stream.advance(record)));
      assert.deepEqual(throughCursor(stream.watermark()), cursors.at(-1));
    }
  }
  stream.close();
  const again = world.replica();
  for (const [index, at] of cursors.entries()) {
    const left = all.slice(index + 1);
    const resumed = await again.streams.open(request(topic, { key: 'k', start: { kind: 'position', position: at } }));
    assert.deepEqual(await rest(resumed, left.length), left, `behind ${written[index]?.[0]}`);
  }
});

test('the replay buffer gives the same timestamps as the log', async () => {
  const topic = await world.kafka.topic(1, {
    'message.timestamp.type': 'CreateTime',
    'message.timestamp.after.max.ms': '9223372036854775807',
  });
  const redis = world.deployment();
  const owner = world.owner(topic, { redis, generation: 1 });
  await until('the buffer is kept', async () => (await countOf(owner, 'buffer_windows_total')) > 0);
  await producer.send({ topic, messages: [{ key: 'k', value: 'first', timestamp: `${nowMs}` }] });
  for (const [timestamp] of written) await producer.send({ topic, messages: [{ key: 'k', value: '', timestamp }] });
  const other = world.replica({}, redis);
  const start = { kind: 'position', position: position(topic, [0, 0, nowMs]) } as const;
  await until('a replay comes from Redis alone', async () => {
    const stream = await other.streams.open(request(topic, { key: 'k', start }));
    assert.deepEqual(await rest(stream, all.length), all);
    return (await resumedFrom(other, 'redis')) > 0;
  });
});

test('a time to begin at finds its record behind one of nanoseconds', async () => {
  const topic = await strangersTopic();
  const { streams } = world.replica();
  const at = { topic, partition: 0 };
  const offset = await world.kafka.topics.offsetAt(at, nowMs * 1_000);
  assert.equal(offset, 1);
  const stream = await streams.open(request(topic, { key: 'k', start: { kind: 'time', timestampMs: nowMs * 1_000 } }));
  assert.deepEqual(await rest(stream, all.length - 1), all.slice(1));
});
