import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pino from 'pino';
import { openLanes, watchPartitions } from '../../../lib/kafka/index.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

let kafka: ScratchKafka;
before(() => {
  kafka = openScratchKafka();
});
after(() => kafka?.close());

test('partitions added by other means are warned of while they are empty, and a reason once they have records', async () => {
  const [grown, other] = [await kafka.topic(2), await kafka.topic(2)];
  const lines: string[] = [];
  const ops = { ...quietOps(), log: pino({ level: 'warn' }, { write: line => void lines.push(line) }) };
  const { topics } = kafka;
  const unread = watchPartitions({ topics, names: [grown, other], partitionCount: 2, ops, intervalMs: 50 });
  let changes = 0;
  unread.onChange(() => {
    changes++;
  });
  const metric = async (name: string) => {
    const { values = [] } = (await ops.metrics.getSingleMetric(name)?.get()) ?? {};
    return Object.fromEntries(values.map(({ labels, value }) => [labels.topic, value]));
  };
  await until('it has looked', async () => grown in (await metric('penstock_kafka_unread_partitions')));
  assert.deepEqual([unread.of(grown), ops.readiness.warnings(), ops.readiness.reasons()], [undefined, {}, {}]);

  await topics.grow(grown, 5);
  const warning = await until('a warning', () => ops.readiness.warnings().topics);
  assert.ok(warning.startsWith(`topic ${grown} has 5 partitions, of which 2 are read: 0 records lie in the others.`));
  assert.match(warning, /Stop all services, run "npm run grow-partitions -- --partitions 5" and start them again/);
  assert.deepEqual(ops.readiness.reasons(), {});
  assert.deepEqual(await metric('penstock_kafka_unread_partitions'), { [grown]: 3, [other]: 0 });

  const lanes = openLanes(kafka.connection, { bufferBytes: 100_000 });
  await lanes.send({ topic: grown, partition: 1 }, { key: 'k', value: 'read' });
  for (const value of ['a', 'b']) await lanes.send({ topic: grown, partition: 3 }, { key: 'k', value });
  await lanes.close();
  await until('a reason', () => ops.readiness.reasons().topics?.includes(' 2 records lie in the others'));
  assert.deepEqual(ops.readiness.warnings(), {});
  assert.deepEqual(unread.of(grown), { count: 5, records: new Map([[3, 2]]) });
  assert.deepEqual(await metric('penstock_kafka_unread_records'), { [grown]: 2, [other]: 0 });
  assert.equal(lines.filter(line => line.includes('a topic has partitions that nobody reads')).length, changes);
  await unread.close();
});
