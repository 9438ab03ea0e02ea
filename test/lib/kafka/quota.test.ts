// starts first: it waits for brokers that throttle it
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, type TestContext, test } from 'node:test';
import pino from 'pino';
import { connectKafka, openLanes, openReader, openTopics } from '../../../lib/kafka/index.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { setQuotas } from '../../support/quota.ts';
import {
  contentOf,
  kafkaAddress,
  kafkaConfig,
  openScratchKafka,
  type ScratchKafka,
} from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

/** Of a client that no quota holds back. */
let kafka: ScratchKafka;
before(() => {
  kafka = openScratchKafka();
});
after(() => kafka?.close());

/**
 * A quota over a window of some ten seconds, bytes/s, and values so large that the second costs a pause beyond every time-out.
 * A broker never sends a batch that is larger than a whole window of the consumer's quota.
 */
const bytesPerSecond = 4_000;
const valueBytes = 38_000;
const longMs = 5_000;
/** Between an answer and the moment at which it is read. */
const toleranceMs = 500;

const values = [1, 2, 3].map(n => `${n} `.padEnd(valueBytes, '.'));

/** A client under a client id of its own, and what it logs. */
function client(t: TestContext) {
  const lines: string[] = [];
  const ops = {
    ...quietOps(`quota-${randomBytes(6).toString('hex')}`),
    log: pino(
      { level: 'debug', serializers: { error: pino.stdSerializers.err } },
      { write: line => void lines.push(line) },
    ),
  };
  const connection = connectKafka(kafkaConfig([kafkaAddress()]), ops);
  t.after(() => connection.close());
  const seconds = async (api: string): Promise<number> => {
    const metric = ops.metrics.getSingleMetric('penstock_kafka_throttled_seconds_total');
    const { values: found = [] } = (await metric?.get()) ?? {};
    return found.find(({ labels }) => labels.api === api)?.value ?? 0;
  };
  return { ops, connection, seconds, lines };
}

test('a producer that is throttled for longer than its time-out sends each record once, behind the pause', async t => {
  const at = { topic: await kafka.topic(1), partition: 0 };
  const { ops, connection, seconds, lines } = client(t);
  await setQuotas(kafka.connection, ops.service, { producer_byte_rate: bytesPerSecond });
  const lanes = openLanes(connection, { bufferBytes: 1_000_000, deliveryTimeoutMs: 120_000 });
  const offsets: number[] = [];
  let pauseMs = 0;
  for (const value of values) {
    const [sentAt, pausedBefore] = [performance.now(), await seconds('Produce')];
    offsets.push((await lanes.send(at, { key: 'k', value })).offset);
    assert.ok(performance.now() - sentAt >= pauseMs - toleranceMs, 'it was sent again, over a new connection');
    pauseMs = ((await seconds('Produce')) - pausedBefore) * 1_000;
  }
  assert.match(
    ops.readiness.warnings().quota ?? '',
    /throttles Produce requests .* raise producer_byte_rate .*client id/,
  );
  assert.deepEqual(ops.readiness.reasons(), {});
  assert.deepEqual(offsets, [0, 1, 2]);
  assert.deepEqual(await contentOf(kafka.topics, at), values);
  assert.ok((await seconds('Produce')) * 1_000 > longMs);
  assert.equal(lines.filter(line => line.includes('throttled by a quota: raise producer_byte_rate')).length, 1);
  await lanes.close();
  await setQuotas(kafka.connection, ops.service, { producer_byte_rate: undefined });
});

test('a reader that is throttled for longer than its time-out gets each record once, behind the pause', async t => {
  const at = { topic: await kafka.topic(1), partition: 0 };
  const lanes = openLanes(kafka.connection, { bufferBytes: 1_000_000 });
  for (const value of values) await lanes.send(at, { key: 'k', value });
  await lanes.close();
  const { ops, connection, seconds, lines } = client(t);
  await setQuotas(kafka.connection, ops.service, { consumer_byte_rate: bytesPerSecond });
  const reader = openReader(connection, { maxWaitMs: 100, partitionBytes: 10_000 });
  const read: string[] = [];
  reader.assign(at, 0, {
    onBatch: ({ records }) => void read.push(...records.map(({ value }) => String(value))),
    onFault: fault => assert.fail(fault),
  });
  await until('all is read', () => read.length >= values.length, 120_000);
  assert.match(ops.readiness.warnings().quota ?? '', /throttles Fetch requests .* raise consumer_byte_rate/);
  assert.deepEqual(read, values);
  assert.ok((await seconds('Fetch')) * 1_000 > longMs);
  assert.deepEqual(
    lines.filter(line => line.includes('timed out')),
    [],
  );
  await reader.close();
  await setQuotas(kafka.connection, ops.service, { consumer_byte_rate: undefined });
});

test('reads that share a connection wait together behind a pause, and none of them fails', async t => {
  const at = { topic: await kafka.topic(1), partition: 0 };
  const lanes = openLanes(kafka.connection, { bufferBytes: 1_000_000 });
  for (const value of values) await lanes.send(at, { key: 'k', value });
  await lanes.close();
  const { ops, connection, seconds } = client(t);
  await setQuotas(kafka.connection, ops.service, { consumer_byte_rate: bytesPerSecond });
  const topics = openTopics(connection);
  await topics.endOffset(at); // it knows the leader
  const batches = await Promise.all(values.map((_, offset) => topics.fetch(at, offset, 10_000)));
  assert.deepEqual(
    batches.map(({ records }) => records.map(({ value }) => String(value))),
    values.map(value => [value]),
  );
  assert.ok((await seconds('Fetch')) * 1_000 > longMs);
  await topics.close();
  await setQuotas(kafka.connection, ops.service, { consumer_byte_rate: undefined });
});

test('a throttle of all requests is told, and metadata comes behind it', async t => {
  const { ops, connection, seconds } = client(t);
  await setQuotas(kafka.connection, ops.service, { request_percentage: 0.001 });
  const topics = openTopics(connection);
  await until(
    'it is throttled',
    async () => (await topics.clusterId()) !== '' && (await seconds('Metadata')) > 0,
    60_000,
  );
  await topics.close();
  await setQuotas(kafka.connection, ops.service, { request_percentage: undefined });
});
