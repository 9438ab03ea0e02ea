import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PenstockError } from '../../../lib/errors.ts';
import { startScratchBrokers } from '../../support/scratch-brokers.ts';
import { until } from '../../support/until.ts';
import { openStreamsOnKafka, position, request, take, valuesOf } from './streams-on-kafka.ts';

test('while Kafka is away streams wait, opening says so in time, and everything goes on when it is back', async t => {
  const brokers = await startScratchBrokers(1);
  const world = openStreamsOnKafka(brokers.addresses);
  t.after(async () => {
    await world.close();
    await brokers.close();
  });
  const topic = await world.kafka.topic(2);
  const { streams } = world.replica({ openTimeoutMs: 1_000 });
  await world.write(topic, 0, [{ key: 'k', value: 'before' }]);
  const live = await streams.open(request(topic, { start: { kind: 'earliest' } }));
  assert.deepEqual(valuesOf(await take(live, 1)), ['before']);
  const next = take(live, 1);

  await brokers.kill(1);
  const openings = [
    request(topic, { partitions: [1] }),
    request(topic, { start: { kind: 'earliest' } }),
    request(topic, { start: { kind: 'position', position: position(topic, [0, 0]) } }),
  ];
  for (const opening of openings) {
    await assert.rejects(streams.open(opening), (error: unknown) => {
      return error instanceof PenstockError && error.code === 'UNAVAILABLE';
    });
  }
  brokers.start(1);
  await until('the broker answers', () => world.kafka.topics.partitionCount(topic).catch(() => undefined), 60_000);
  await world.write(topic, 0, [{ key: 'k', value: 'after' }]);
  assert.deepEqual(valuesOf(await next), ['after']);
  const again = await streams.open(request(topic, { start: { kind: 'position', position: position(topic, [0, 0]) } }));
  assert.deepEqual(valuesOf(await take(again, 1)), ['after']);
});
