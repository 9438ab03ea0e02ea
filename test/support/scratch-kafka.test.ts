import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openLanes } from '../../lib/kafka/index.ts';
import { openScratchKafka, type ScratchKafka } from './scratch-kafka.ts';

let kafka: ScratchKafka;
before(() => {
  kafka = openScratchKafka();
});
after(() => kafka.close());

test('a topic that is removed and made again is another one, and empty, also while the broker is busy with a third', async () => {
  const lanes = openLanes(kafka.connection, { bufferBytes: 1_000_000 });
  const topic = await kafka.topic(1);
  const at = { topic, partition: 0 };
  await lanes.send(at, { key: 'k', value: 'old' });
  const old = await kafka.topics.identity(topic);

  // Named before its logs are made: while the broker makes them, it takes notice of nothing else.
  await kafka.topic(100);
  await kafka.remove(topic);
  await kafka.topics.ensure([{ name: topic, partitions: 1, replicationFactor: 1 }]);
  assert.notEqual((await kafka.topics.identity(topic))?.topicId, old?.topicId);
  assert.equal((await lanes.send(at, { key: 'k', value: 'new' })).offset, 0);
  await lanes.close();
});
