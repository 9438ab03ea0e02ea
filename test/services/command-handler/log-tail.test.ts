import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pino from 'pino';
import { KafkaUnavailableError, type Lanes, openLanes } from '../../../lib/kafka/index.ts';
import { eventRecord } from '../../../services/command-handler/event-record.ts';
import { readTails } from '../../../services/command-handler/log-tail.ts';
import { openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';

let kafka: ScratchKafka;
let lanes: Lanes;
const log = pino({ level: 'silent' });
before(() => {
  kafka = openScratchKafka();
  lanes = openLanes(kafka.connection, { bufferBytes: 1_048_576 });
});
after(async () => {
  await lanes.close();
  await kafka.close();
});

const rowOf = (topic: string, partition: number, sequence: number) => ({
  ...{ topic, partition, key: 'alice', sequence, repetition: 0, eventId: `e${sequence}`, commandId: undefined },
  ...{ traceparent: undefined, timeMs: 0, value: '{}', appendedMs: undefined },
});

test('of a log its end is read, and of that the records that a handler has written', async () => {
  const topic = await kafka.topic(2);
  const at = { topic, partition: 0 };
  for (let sequence = 1; sequence <= 150; sequence++) void lanes.send(at, eventRecord(rowOf(topic, 0, sequence)));
  await lanes.send(at, {
    key: 'alice',
    value: '{}',
    headers: { ce_keysequence: '999', ce_id: 'x', ce_source: '/other' },
  });
  await lanes.send(at, { key: null, value: null });
  const { traces, unread } = await readTails(
    { topics: kafka.topics, names: [topic, 'no-such-topic'], log },
    [0, 1],
    () => true,
  );
  assert.deepEqual(
    traces.map(({ sequence, eventId, offset }) => [sequence, eventId, offset]),
    Array.from({ length: 98 }, (_, i) => [53 + i, `e${53 + i}`, 52 + i]),
  );
  assert.deepEqual([...unread], [], 'a topic that is gone says nothing and keeps nobody waiting');
  const dealtWith = await readTails({ topics: kafka.topics, names: [topic], log }, [0], ({ offset }) => offset >= 149);
  assert.deepEqual(
    dealtWith.traces.map(({ sequence }) => sequence),
    [150],
  );
});

test('a partition whose leader is away is told apart, and does not keep the others from being read', async () => {
  const topic = await kafka.topic(2);
  for (const partition of [0, 1]) await lanes.send({ topic, partition }, eventRecord(rowOf(topic, partition, 1)));
  const topics: typeof kafka.topics = {
    ...kafka.topics,
    async offsets(name, partitions) {
      if (partitions.includes(1)) throw new KafkaUnavailableError(`${name}/1 has no leader`);
      return kafka.topics.offsets(name, partitions);
    },
  };
  const { traces, unread } = await readTails({ topics, names: [topic], log }, [0, 1], () => true);
  assert.deepEqual([traces.map(({ partition }) => partition), [...unread]], [[0], [[1, topic]]]);
});
