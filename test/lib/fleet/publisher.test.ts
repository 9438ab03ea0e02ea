import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counter, Gauge, Registry } from 'prom-client';
import { lagOver, lagsBy } from '../../../lib/fleet/lags.ts';
import { openFleetPublisher } from '../../../lib/fleet/publisher.ts';
import { openReadings } from '../../../lib/fleet/readings.ts';
import { connectKafka, openTopics } from '../../../lib/kafka/index.ts';
import { catalogue, readConfig } from '../../../lib/ops/index.ts';
import { dumpTopic, testKafka } from '../../support/dump.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { kafkaAddress, openScratchKafka } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

function open(variables: Readonly<Record<string, string>>) {
  const config = readConfig(catalogue, ['fleet', 'kafka'], { PENSTOCK_KAFKA_BROKERS: kafkaAddress(), ...variables });
  const ops = { ...quietOps('tester') };
  const connection = connectKafka(config.kafka, ops);
  const topics = openTopics(connection);
  const publisher = openFleetPublisher({ config, connection, topics, ops });
  return {
    publisher,
    ops,
    async close() {
      await publisher.close();
      await topics.close();
      await connection.close();
    },
  };
}

test('a process publishes its state at its interval, at once after a change, and says when it ends', async () => {
  const kafka = openScratchKafka();
  const topic = await kafka.topic(1);
  const variables = { PENSTOCK_FLEET_TOPIC: topic, PENSTOCK_FLEET_INTERVAL_MS: '60000', PENSTOCK_FLEET_INSTANCE: 'me' };
  const { publisher, ops, close } = open(variables);
  try {
    ops.readiness.set('start', undefined);
    const dump = () => dumpTopic(testKafka([kafkaAddress()]), topic);
    await until('it has published', async () => (await dump()).length > 0);
    publisher.describe(async () => ({ extra: 1 }));
    publisher.changed();
    const second = await until('the change is published', async () =>
      (await dump()).find(({ value }) => value?.extra === 1),
    );
    assert.deepEqual([second.key, second.value?.service, second.value?.status], ['tester/me', 'tester', 'READY']);
    await close();
    const records = await dump();
    assert.deepEqual([records.at(-2)?.value?.status, records.at(-1)?.value], ['GONE', null]);
    assert.ok(records.length <= 5, `${records.length} records`);
  } finally {
    await close();
    await kafka.close();
  }
});

test('without the topic a process goes on, says what creates it, and publishes as soon as it is there', async () => {
  const kafka = openScratchKafka();
  const topic = `fleet-${kafka.group()}`;
  const { publisher, close } = open({ PENSTOCK_FLEET_TOPIC: topic });
  try {
    await until('it has looked', () => publisher.topic()?.kind === 'missing');
    const found = publisher.topic();
    assert.ok(found?.kind === 'missing' && found.advice.includes(`--create --topic ${topic}`));
    await publisher.retire('a', {});
  } finally {
    await close();
    await kafka.close();
  }
});

test('where topics may be created it is: compacted, of one partition', async () => {
  const kafka = openScratchKafka();
  const topic = `fleet-${kafka.group()}`;
  const { publisher, close } = open({ PENSTOCK_FLEET_TOPIC: topic, PENSTOCK_KAFKA_CREATE_TOPICS: 'true' });
  const admin = testKafka([kafkaAddress()]).admin();
  try {
    await until('it is there', () => publisher.topic()?.kind === 'there');
    await admin.connect();
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: 2, name: topic, configNames: ['cleanup.policy', 'message.timestamp.type'] }],
    });
    assert.deepEqual(resources[0]?.configEntries.map(({ configValue }) => configValue).sort(), [
      'LogAppendTime',
      'compact',
    ]);
  } finally {
    await close();
    await admin.deleteTopics({ topics: [topic] });
    await admin.disconnect();
    await kafka.close();
  }
});

test('with an empty name nothing is published', async () => {
  const { publisher, close } = open({ PENSTOCK_FLEET_TOPIC: '' });
  try {
    await until('it has looked', () => publisher.topic()?.kind === 'off');
  } finally {
    await close();
  }
});

test('readings are those of the metrics, and a rate is over about a second or more', async () => {
  const registry = new Registry();
  let nowMs = 0;
  const readings = openReadings(registry, () => nowMs);
  const counter = new Counter({ name: 'n_total', help: 'n', labelNames: ['topic'], registers: [registry] });
  new Gauge({ name: 'g', help: 'g', registers: [registry] }).set(3);
  const rate = () => readings.rate('n_total', ({ topic }) => topic !== 'b');
  assert.equal(await readings.sum('g'), 3);
  assert.equal(await readings.sum('absent'), undefined);
  assert.equal(await rate(), undefined, 'it is not known yet');
  counter.inc({ topic: 'a' }, 10);
  counter.inc({ topic: 'b' }, 1_000);
  nowMs = 2_000;
  assert.equal(await rate(), 5);
  counter.inc({ topic: 'a' }, 100);
  nowMs = 2_100;
  assert.equal(await rate(), 5, 'so short a time tells nothing');
});

test('a lag is unknown as soon as that of one partition is, and where there is none', () => {
  const lag = (partition: number, records: number | undefined, seconds: number | undefined) => {
    return { topic: 't', partition, records, seconds };
  };
  assert.deepEqual(lagOver([]), { lagRecords: null, lagSeconds: null });
  assert.deepEqual(lagOver([lag(0, 2, 0.5), lag(1, 3, 4)]), { lagRecords: 5, lagSeconds: 4 });
  assert.deepEqual(lagOver([lag(0, 2, 0.5), lag(1, undefined, undefined)]), { lagRecords: null, lagSeconds: null });
  const by = lagsBy([lag(0, 1, 1), lag(1, undefined, undefined), lag(0, 2, 2)], ({ partition }) => partition);
  assert.deepEqual(
    [...by],
    [
      [0, { lagRecords: 3, lagSeconds: 2 }],
      [1, { lagRecords: null, lagSeconds: null }],
    ],
  );
});
