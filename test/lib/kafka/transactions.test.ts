import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type DirectReader, openReader, type RecordBatch } from '../../../lib/kafka/index.ts';
import { contentOf, kafkaAddress, openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';
import { openTransactionalProducer, type TransactionalProducer } from '../../support/transactional-producer.ts';
import { until } from '../../support/until.ts';

let kafka: ScratchKafka;
let reader: DirectReader;
let one: TransactionalProducer;
let other: TransactionalProducer;
before(async () => {
  kafka = openScratchKafka();
  reader = openReader(kafka.connection, { maxWaitMs: 100, partitionBytes: 4_096 });
  one = await openTransactionalProducer([kafkaAddress()]);
  other = await openTransactionalProducer([kafkaAddress()]);
});
after(async () => {
  await reader?.close();
  await one?.close();
  await other?.close();
  await kafka?.close();
});

test('records of two interleaved transactions appear when theirs commits, and never when it aborts', async () => {
  const at = { topic: await kafka.topic(1), partition: 0 };
  const batches: RecordBatch[] = [];
  reader.assign(at, 0, { onBatch: batch => void batches.push(batch), onFault: fault => assert.fail(fault) });
  const values = () => batches.flatMap(({ records }) => records.map(({ value }) => String(value)));

  const kept = await one.begin();
  const dropped = await other.begin();
  await kept.send(at, ['kept 1']);
  await dropped.send(at, ['dropped 1', 'dropped 2']);
  await kept.send(at, ['kept 2']);
  assert.equal(await kafka.topics.endOffset(at), 0);
  await dropped.abort();
  assert.equal(await kafka.topics.endOffset(at), 0);
  assert.deepEqual(values(), []);
  await kept.commit();
  await until('the committed records are read', () => values().length === 2);
  assert.deepEqual(values(), ['kept 1', 'kept 2']);
  const next = await other.begin();
  await next.send(at, ['next']);
  await next.commit();
  await until('the next transaction of the one that aborted is read', () => values().length === 3);
  assert.deepEqual(await contentOf(kafka.topics, at), ['kept 1', 'kept 2', 'next']);
  reader.unassign(at);
});
