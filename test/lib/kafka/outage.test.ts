// starts first: a broker of its own comes and goes
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Assignment, joinControlGroup, openLanes, openReader, type RecordSink } from '../../../lib/kafka/index.ts';
import { type ScratchBrokers, startScratchBrokers } from '../../support/scratch-brokers.ts';
import { openScratchKafka } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

/** One broker, over TLS; it is away before anybody has reached it, and again later. */
let broker: ScratchBrokers;
before(async () => {
  broker = await startScratchBrokers(1, { tls: true });
});
after(() => broker?.close());

test('whoever started without Kafka, or lost it, goes on by itself when it is there', async () => {
  const first = openScratchKafka(broker.addresses, { tlsCaFile: broker.caFile });
  const topic = await first.topic(2);
  await broker.kill(1);

  const kafka = openScratchKafka(broker.addresses, { tlsCaFile: broker.caFile });
  const lanes = openLanes(kafka.connection, { bufferBytes: 100_000, deliveryTimeoutMs: 60_000 });
  const reader = openReader(kafka.connection, { maxWaitMs: 100, partitionBytes: 10_000 });
  const read: string[] = [];
  const sink: RecordSink = {
    onBatch: ({ records }) => void read.push(...records.map(({ value }) => String(value))),
    onFault: fault => assert.fail(fault),
  };
  for (const partition of [0, 1]) reader.assign({ topic, partition }, 0, sink);
  const assignments: Assignment[] = [];
  const group = await joinControlGroup(kafka.connection, {
    groupId: 'outage',
    topics: [topic],
    address: 'http://a',
    sessionTimeoutMs: 6_000,
    heartbeatIntervalMs: 100,
    onAssigned: assignment => void assignments.push(assignment),
    onLost: () => undefined,
  });
  const early = lanes.send({ topic, partition: 0 }, { key: 'k', value: 'early' });

  broker.start(1);
  assert.deepEqual(await early, { offset: 0 });
  await until('the reader has reached it', () => read.includes('early'));
  await until('the member has reached it', () => assignments.length === 1);

  await broker.kill(1);
  const during = [0, 1].map(partition => lanes.send({ topic, partition }, { key: 'k', value: `during ${partition}` }));
  broker.start(1);
  assert.deepEqual(await Promise.all(during), [{ offset: 1 }, { offset: 0 }]);
  await until('the reader has gone on', () => read.length === 3);
  await until(
    'the member has gone on',
    () =>
      group.heartbeat().then(
        () => true,
        () => false,
      ),
    30_000,
  );

  await group.close();
  await reader.close();
  await lanes.close();
  await kafka.connection.close();
  await first.close();
});

test('without the right authority nothing is trusted', async () => {
  const kafka = openScratchKafka(broker.addresses);
  await assert.rejects(kafka.topics.clusterId());
  await kafka.connection.close();
});
