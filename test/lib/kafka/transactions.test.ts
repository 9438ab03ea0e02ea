import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pino from 'pino';
import {
  type DirectReader,
  type Lanes,
  openLanes,
  openReader,
  type RecordSink,
  type TopicPartition,
} from '../../../lib/kafka/index.ts';
import { contentOf, kafkaAddress, openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';
import { openTransactionalProducer, type TransactionalProducer } from '../../support/transactional-producer.ts';
import { until } from '../../support/until.ts';

let kafka: ScratchKafka;
let lanes: Lanes;
let reader: DirectReader;
let one: TransactionalProducer;
let other: TransactionalProducer;
before(async () => {
  kafka = openScratchKafka();
  lanes = openLanes(kafka.connection, { bufferBytes: 10_000_000 });
  reader = openReader(kafka.connection, { maxWaitMs: 100, partitionBytes: 4_096 });
  one = await openTransactionalProducer([kafkaAddress()]);
  other = await openTransactionalProducer([kafkaAddress()]);
});
after(async () => {
  await reader?.close();
  await lanes?.close();
  await one?.close();
  await other?.close();
  await kafka?.close();
});

/** Reads from an offset on with a reader of the test's. */
function read(at: TopicPartition, offset = 0, by = reader): { values: string[]; sink: RecordSink } {
  const values: string[] = [];
  const sink: RecordSink = {
    onBatch: ({ records }) => void values.push(...records.map(({ value }) => String(value))),
    onFault: fault => assert.fail(fault),
  };
  by.assign(at, offset, sink);
  return { values, sink };
}

test('records of two interleaved transactions appear when theirs commits, and never when it aborts', async () => {
  const at = { topic: await kafka.topic(1), partition: 0 };
  const { values } = read(at);
  const kept = await one.begin();
  const dropped = await other.begin();
  await kept.send(at, ['kept 1']);
  await dropped.send(at, ['dropped 1', 'dropped 2']);
  await kept.send(at, ['kept 2']);
  assert.equal(await kafka.topics.endOffset(at), 0);
  assert.deepEqual([...(await kafka.topics.highWatermarks(at.topic, [0]))], [[0, 4]]);
  await dropped.abort();
  assert.equal(await kafka.topics.endOffset(at), 0);
  assert.deepEqual(values, []);
  await kept.commit();
  await until('the committed records are read', () => values.length === 2);
  assert.deepEqual(values, ['kept 1', 'kept 2']);
  const next = await other.begin();
  await next.send(at, ['next']);
  await next.commit();
  await until('the next transaction of the one that aborted is read', () => values.length === 3);
  assert.deepEqual(await contentOf(kafka.topics, at), ['kept 1', 'kept 2', 'next']);
  reader.unassign(at);
});

test('from whichever offset reading begins, inside transactions that many fetches bring too, it shows what is committed and no more', async () => {
  const at = { topic: await kafka.topic(1), partition: 0 };
  /** By offset. */
  const committed = new Map<number, string>();
  const pad = 'x'.repeat(1_500);
  const numbered = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name} ${n} ${pad}`);
  const note = (first: number, values: readonly string[]) => {
    for (const [index, value] of values.entries()) committed.set(first + index, value);
  };
  for (let round = 0; round < 3; round++) {
    const kept = await one.begin();
    const dropped = await other.begin();
    for (let turn = 0; turn < 3; turn++) {
      await dropped.send(at, numbered(`dropped ${round}.${turn}`, 3));
      note(await kept.send(at, numbered(`kept ${round}.${turn}`, 2)), numbered(`kept ${round}.${turn}`, 2));
      const plain = `plain ${round}.${turn}`;
      note((await lanes.send(at, { key: 'k', value: plain })).offset, [plain]);
    }
    // The one that began first ends last, and the other way round.
    if (round % 2 === 0) await kept.commit().then(() => dropped.abort());
    else await dropped.abort().then(() => kept.commit());
  }
  const last = (await lanes.send(at, { key: 'k', value: 'last' })).offset;
  note(last, ['last']);
  await until('all transactions are over', async () => (await kafka.topics.endOffset(at)) > last);

  const behind = (offset: number) =>
    [...committed]
      .filter(([at]) => at >= offset)
      .sort(([a], [b]) => a - b)
      .map(([, value]) => value);
  for (let offset = 0; offset <= last; offset++) {
    const { values } = read(at, offset);
    await until(`all from ${offset} on`, () => values.at(-1) === 'last');
    assert.deepEqual(values, behind(offset), `from ${offset} on`);
    const { records } = await kafka.topics.fetch(at, offset, 2_000);
    assert.equal(String(records[0]?.value), behind(offset)[0]);
  }
  reader.unassign(at);
});

test('a transaction that stays open is shown by metrics and a line of the log, and a line says when it is over', async () => {
  const at = { topic: await kafka.topic(1), partition: 0 };
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: line => void lines.push(JSON.parse(line)) });
  const ops = { ...kafka.ops, log };
  const patient = openReader(
    { ...kafka.connection, ops },
    { maxWaitMs: 50, partitionBytes: 4_096, openTransactionMs: 100 },
  );
  const gauge = async (name: string) => {
    const { values = [] } = (await ops.metrics.getSingleMetric(`penstock_kafka_open_transaction_${name}`)?.get()) ?? {};
    return values.find(({ labels }) => labels.topic === at.topic)?.value;
  };
  const told = (message: RegExp) => lines.filter(({ msg }) => message.test(String(msg)));
  try {
    await lanes.send(at, { key: 'k', value: 'before' });
    const { values } = read(at, 0, patient);
    const hanging = await one.begin();
    await hanging.send(at, ['in it']);
    await lanes.send(at, { key: 'k', value: 'behind it' });
    const line = await until('the log tells', () => told(/holds up a partition/)[0], 10_000);
    assert.deepEqual([line.topic, line.partition, line.offset, line.highWatermark], [at.topic, 0, 1, 3]);
    assert.equal(await gauge('records'), 2);
    assert.ok(((await gauge('seconds')) ?? 0) >= 0.1);
    assert.deepEqual(values, ['before']);
    await hanging.abort();
    await until('the log tells that it is over', () => told(/is over/).length > 0);
    await until('what waited behind it', () => values.length === 2);
    assert.deepEqual(values, ['before', 'behind it']);
    assert.deepEqual([await gauge('records'), await gauge('seconds')], [0, 0]);
    assert.equal(told(/open transaction/).length, 2);
  } finally {
    await patient.close();
  }
});
