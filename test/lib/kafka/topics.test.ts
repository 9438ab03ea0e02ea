import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  KafkaUnavailableError,
  type Lanes,
  OffsetOutOfRangeError,
  openLanes,
  openTopics,
  PartitionCountError,
  UnknownTopicError,
} from '../../../lib/kafka/index.ts';
import { openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

let kafka: ScratchKafka;
let lanes: Lanes;
before(() => {
  kafka = openScratchKafka();
  lanes = openLanes(kafka.connection, { bufferBytes: 1_000_000 });
});
after(async () => {
  await lanes.close();
  await kafka.close();
});

test('positions are fresh: the end moves with each record, the start with retention', async () => {
  const topic = await kafka.topic(2);
  const at = { topic, partition: 1 };
  assert.equal(await kafka.topics.startOffset(at), 0);
  assert.equal(await kafka.topics.endOffset(at), 0);
  for (let i = 1; i <= 3; i++) {
    await lanes.send(at, { key: 'k', value: 'v' });
    assert.equal(await kafka.topics.endOffset(at), i);
  }
  assert.deepEqual(
    [...(await kafka.topics.offsets(topic, [0, 1]))],
    [
      [0, { start: 0, end: 0 }],
      [1, { start: 0, end: 3 }],
    ],
  );
});

test('an offset is found by time: the first record at or after it, the end when there is none', async () => {
  const topic = await kafka.topic(1);
  const at = { topic, partition: 0 };
  for (let i = 0; i < 3; i++) {
    await lanes.send(at, { key: 'k', value: 'v' });
    await new Promise(resolve => setTimeout(resolve, 5)); // so that the times differ
  }
  const { records } = await kafka.topics.fetch(at, 0, 10_000);
  const second = (await kafka.topics.fetch(at, 1, 10_000)).records[0]?.timestampMs ?? 0;
  assert.equal(records[0]?.offset, 0);
  assert.equal(await kafka.topics.offsetAt(at, second), 1);
  assert.equal(await kafka.topics.offsetAt(at, second - 1), 1);
  assert.equal(await kafka.topics.offsetAt(at, 0), 0);
  assert.equal(await kafka.topics.offsetAt(at, Date.now() + 60_000), 3);
});

test('a fetch begins at its offset, gives at least one record, and none at the end', async () => {
  const topic = await kafka.topic(1);
  const at = { topic, partition: 0 };
  for (let i = 0; i < 5; i++) await lanes.send(at, { key: 'k', value: 'x'.repeat(10_000) });
  const batch = await kafka.topics.fetch(at, 2, 100);
  assert.equal(batch.records[0]?.offset, 2);
  assert.equal(batch.endOffset, 5);
  const end = await kafka.topics.fetch(at, 5, 100);
  assert.deepEqual(end.records, []);
  assert.equal(end.nextOffset, 5);
});

test('what is not there is a typed error: an offset beyond the log, a topic, a partition', async () => {
  const topic = await kafka.topic(1);
  await assert.rejects(kafka.topics.fetch({ topic, partition: 0 }, 1, 100), OffsetOutOfRangeError);
  await assert.rejects(kafka.topics.fetch({ topic, partition: 1 }, 0, 100), UnknownTopicError);
  await assert.rejects(kafka.topics.endOffset({ topic: `${topic}-none`, partition: 0 }), UnknownTopicError);
  await assert.rejects(kafka.topics.startOffset({ topic, partition: 9 }), UnknownTopicError);
  assert.equal(await kafka.topics.partitionCount(`${topic}-none`), undefined);
  assert.equal(await kafka.topics.partitionCount(topic), 1);
});

test('a topic that is deleted is unknown from then on, also to who knew it', async () => {
  const topic = await kafka.topic(1);
  const at = { topic, partition: 0 };
  await lanes.send(at, { key: 'k', value: 'v' });
  assert.equal(await kafka.topics.endOffset(at), 1);
  await kafka.remove(topic);
  const isUnknown = (error: unknown) => error instanceof UnknownTopicError;
  await until('its end is unknown', () => kafka.topics.endOffset(at).then(() => false, isUnknown));
  await until('its records are unknown', () => kafka.topics.fetch(at, 0, 100).then(() => false, isUnknown));
});

test('topics are made with their partitions and configuration, by several services at once', async () => {
  const name = `${await kafka.topic(1)}-new`;
  const spec = { name, partitions: 6, replicationFactor: 1, config: { 'max.message.bytes': '1000' } };
  await Promise.all(Array.from({ length: 5 }, () => kafka.topics.ensure([spec])));
  await kafka.topics.ensure([spec]);
  assert.equal(await kafka.topics.partitionCount(name), 6);
  await assert.rejects(lanes.send({ topic: name, partition: 5 }, { key: 'k', value: 'x'.repeat(2_000) }), /exceeds/);
  await kafka.remove(name);
});

test('an existing topic with another partition count is refused, both counts named', async () => {
  const topic = await kafka.topic(3);
  await assert.rejects(
    kafka.topics.ensure([{ name: topic, partitions: 4, replicationFactor: 1 }]),
    (error: unknown) => error instanceof PartitionCountError && /3 partitions.* 4 /.test(error.message),
  );
});

test('a topic that the broker refuses is an error with the reason', async () => {
  const name = `${await kafka.topic(1)}-bad`;
  await assert.rejects(
    kafka.topics.ensure([{ name, partitions: 1, replicationFactor: 1, config: { 'no.such.setting': '1' } }]),
    /INVALID_CONFIG/,
  );
  await assert.rejects(kafka.topics.ensure([{ name, partitions: 1, replicationFactor: 99 }]), /INVALID_REPLICATION/);
});

test('the cluster id is that of the brokers', async () => {
  const id = await kafka.topics.clusterId();
  assert.match(id, /^[\w-]{22}$/);
});

test('without a broker a call is given up with KafkaUnavailableError', async () => {
  const away = openScratchKafka(['127.0.0.1:1']);
  const topics = openTopics(away.connection);
  await assert.rejects(topics.endOffset({ topic: 't', partition: 0 }), KafkaUnavailableError);
  await topics.close();
  await away.connection.close();
});
