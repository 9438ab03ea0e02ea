import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { buildTable } from '../../../services/projector/build.ts';
import { openStore } from '../../../services/projector/store.ts';
import { openProjectorWorld, type ProjectorWorld } from '../../support/projector-world.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { kafkaAddress } from '../../support/scratch-kafka.ts';
import { openTransactionalProducer, type TransactionalProducer } from '../../support/transactional-producer.ts';
import { until } from '../../support/until.ts';

let world: ProjectorWorld;
let producer: TransactionalProducer;
before(async () => {
  world = await openProjectorWorld();
  producer = await openTransactionalProducer([kafkaAddress()]);
});
after(async () => {
  await producer?.close();
  await world?.close();
});

test('G22: a view has committed records alone, before, while and after it is built anew beside an open transaction', async () => {
  const topic = await world.topic(1);
  const at = { topic, partition: 0 };
  const plan = world.plan(`
    type Query { items: [Item!]! @view(table: "item") @requiresRole(anyOf: ["all"]) }
    type Item @table(name: "item", topics: ["${topic}"], id: ["id"]) { id: ID! }
  `);
  const { close } = await world.start(plan);
  const views = world.views(plan);
  const ids = async () => ((await world.read(views, plan, 'items')) as { id: string }[]).map(({ id }) => id).sort();
  const item = (id: string) => JSON.stringify({ id });

  await world.send(topic, 0, { key: 'k', json: { id: 'plain' } });
  const aborted = await producer.begin();
  await aborted.send(at, [item('aborted')]);
  await aborted.abort();
  await world.caughtUp(topic);
  assert.deepEqual(await ids(), ['plain']);

  const open = await producer.begin();
  await open.send(at, [item('open')]);
  await world.send(topic, 0, { key: 'k', json: { id: 'behind' } });
  const store = openStore({ url: world.postgres.url, poolSize: 2 }, quietOps('build'));
  const table = plan.tables.get('item') ?? assert.fail();
  const context = { store, topics: world.topics, tables: plan.tables, batchRecords: 200, log: quietOps().log };
  const built = await buildTable(
    { ...context, signal: new AbortController().signal, onProgress: () => undefined },
    table,
  );
  await store.close();
  assert.equal(built.kind, 'swapped');
  assert.deepEqual(await ids(), ['plain']);
  await open.commit();
  await until('what was committed', async () => (await ids()).length === 3);
  assert.deepEqual(await ids(), ['behind', 'open', 'plain']);
  await close();
});
