import assert from 'node:assert/strict';
import { test } from 'node:test';
import kafkajs from 'kafkajs';
import pino from 'pino';
import { connectKafka, openLanes, openReader } from '../../../lib/kafka/index.ts';
import { kafkajsLogCreator } from '../../../lib/kafka/kafka-log.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { kafkaConfig, openScratchKafka } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

test('Node has nothing to warn of while records are written and read', async () => {
  const warnings: string[] = [];
  const note = ({ name }: Error) => void warnings.push(name);
  process.on('warning', note);
  const kafka = openScratchKafka();
  const topic = await kafka.topic(2);
  const lanes = openLanes(kafka.connection, { bufferBytes: 100_000 });
  const reader = openReader(kafka.connection, { maxWaitMs: 20, partitionBytes: 10_000 });
  let read = 0;
  for (const partition of [0, 1]) {
    reader.assign({ topic, partition }, 0, {
      onBatch: ({ records }) => {
        read += records.length;
      },
      onFault: fault => assert.fail(fault),
    });
  }
  for (let i = 0; i < 50; i++) await lanes.send({ topic, partition: i % 2 }, { key: 'k', value: 'v' });
  await until('all is read', () => read === 50);
  await reader.close();
  await lanes.close();
  await kafka.close();
  process.off('warning', note);
  assert.deepEqual(warnings, []);
});

test('a configuration that is half there is refused', () => {
  const config = kafkaConfig(['127.0.0.1:1']);
  assert.throws(() => connectKafka({ ...config, tlsCertFile: '/x', tlsKeyFile: '/x' }, quietOps()), /TLS_CA_FILE/);
  assert.throws(
    () => connectKafka({ ...config, tlsCaFile: import.meta.filename, tlsKeyFile: '/x' }, quietOps()),
    /belong together/,
  );
  assert.throws(() => connectKafka({ ...config, tlsCaFile: '/no/such/file' }, quietOps()), /ENOENT/);
  assert.throws(() => connectKafka({ ...config, saslMechanism: 'plain' }, quietOps()), /SASL_USERNAME/);
});

test("a repeated line of kafkajs's is logged once in five seconds, with the count of those held back", () => {
  const lines: { level: number; msg: string; repeated?: number }[] = [];
  const log = pino({ level: 'info' }, { write: text => void lines.push(JSON.parse(text)) });
  let now = 0;
  const write = kafkajsLogCreator(log, () => now)();
  const entry = (message: string, level = kafkajs.logLevel.ERROR) =>
    write({ namespace: 'Connection', level, label: 'ERROR', log: { timestamp: '', message } });
  for (now = 0; now < 6_000; now += 100) entry('Connection error: ECONNREFUSED');
  entry('another');
  entry('an everyday line', kafkajs.logLevel.INFO);
  entry('Response Heartbeat(key: 12, version: 3)');
  assert.deepEqual(
    lines.map(({ level, msg, repeated }) => [level, msg, repeated]),
    [
      [40, 'Connection error: ECONNREFUSED', undefined],
      [40, 'Connection error: ECONNREFUSED', 49],
      [40, 'another', undefined],
    ],
  );
});
