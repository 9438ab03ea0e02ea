import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { StreamStart } from '../../../lib/replay/index.ts';
import { kafkaAddress } from '../../support/scratch-kafka.ts';
import { openTransactionalProducer, type TransactionalProducer } from '../../support/transactional-producer.ts';
import { until } from '../../support/until.ts';
import { openStreamsOnKafka, position, request, type StreamsOnKafka, take, valuesOf } from './streams-on-kafka.ts';

let world: StreamsOnKafka;
let one: TransactionalProducer;
let other: TransactionalProducer;
before(async () => {
  world = openStreamsOnKafka();
  one = await openTransactionalProducer([kafkaAddress()]);
  other = await openTransactionalProducer([kafkaAddress()]);
});
after(async () => {
  await one?.close();
  await other?.close();
  await world?.close();
});

test('G22: a stream that begins now or at a time shows a transaction that is open then when it commits, in the order of the log', async () => {
  const topic = await world.kafka.topic(1);
  const at = { topic, partition: 0 };
  await world.write(topic, 0, [{ key: 'k', value: 'old' }]);
  const kept = await one.begin();
  const dropped = await other.begin();
  await dropped.send(at, ['dropped']);
  await kept.send(at, ['kept 1']);
  await world.write(topic, 0, [{ key: 'k', value: 'plain' }]);
  // A replica whose tail has not read yet, one whose tail has, and a time at which the transactions were open.
  const early = world.replica().streams;
  const starts: StreamStart[] = [{ kind: 'now' }, { kind: 'time', timestampMs: Date.now() + 1 }];
  const streams = [];
  for (const start of starts) {
    for (const key of ['k', undefined]) streams.push(await early.open(request(topic, { key, start })));
  }
  streams.push(await early.open(request(topic)));
  await dropped.abort();
  await kept.send(at, ['kept 2']);
  await kept.commit();
  await world.write(topic, 0, [{ key: 'k', value: 'last' }]);
  for (const stream of streams) {
    const shown: (string | undefined)[] = [];
    void (async () => {
      for (;;) shown.push(...valuesOf(await take(stream, 1)));
    })().catch(() => undefined);
    await until('the last record', () => shown.at(-1) === 'last', 10_000);
    assert.deepEqual(shown, ['kept 1', 'plain', 'kept 2', 'last']);
  }
});

test('G22: a cursor inside a transaction goes on with what is committed behind it, whether that one commits or aborts', async () => {
  const topic = await world.kafka.topic(1);
  const at = { topic, partition: 0 };
  const kept = await one.begin();
  const dropped = await other.begin();
  const offsets = [await kept.send(at, ['kept 1', 'kept 2'])];
  offsets.push(await dropped.send(at, ['dropped 1', 'dropped 2']));
  offsets.push(await kept.send(at, ['kept 3']));
  await dropped.send(at, ['dropped 3']);
  assert.deepEqual(offsets, [0, 2, 4]);
  await dropped.abort();
  await kept.commit();
  // A broker writes the markers afterwards.
  await until('both are over', async () => (await world.kafka.topics.endOffset(at)) === 8);
  await world.write(topic, 0, [{ key: 'k', value: 'last' }]);
  const wanted = ['kept 1', 'kept 2', 'kept 3', 'last'];
  for (const replica of [world.replica(), world.replica({ ringBytes: 1_000_000 })]) {
    await replica.streams.hold(topic, 0);
    for (const key of ['k', undefined]) {
      for (const [offset, left] of [
        [-1, 4],
        [0, 3],
        [1, 2],
        [2, 2],
        [3, 2],
        [4, 1],
        [5, 1],
        [6, 1],
      ] as const) {
        const start: StreamStart = { kind: 'position', position: position(topic, [0, offset]) };
        const stream = await replica.streams.open(request(topic, { key, start }));
        assert.deepEqual(valuesOf(await take(stream, left)), wanted.slice(-left), `behind ${offset}`);
        stream.close();
      }
    }
  }
});

test('G22: live streams of one key and of everything show committed records alone, over several partitions', async () => {
  const topic = await world.kafka.topic(2);
  const { streams } = world.replica();
  const all = await streams.open(request(topic, { partitions: [0, 1] }));
  const own = await streams.open(request(topic, { partitions: [0], key: 'k' }));
  for (const outcome of ['abort', 'commit'] as const) {
    const transaction = await one.begin();
    for (const partition of [0, 1]) await transaction.send({ topic, partition }, [`${outcome} ${partition}`]);
    await transaction[outcome]();
  }
  for (const partition of [0, 1]) await world.write(topic, partition, [{ key: 'k', value: `plain ${partition}` }]);
  const shown = valuesOf(await take(all, 4)).sort();
  assert.deepEqual(shown, ['commit 0', 'commit 1', 'plain 0', 'plain 1']);
  assert.deepEqual(valuesOf(await take(own, 2)), ['commit 0', 'plain 0']);
});
