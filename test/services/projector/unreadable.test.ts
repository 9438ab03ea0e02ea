import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openLanes, openTopics, recordSkip } from '../../../lib/kafka/index.ts';
import { openProjectorWorld, type ProjectorWorld } from '../../support/projector-world.ts';
import { writeUnreadable } from '../../support/unreadable.ts';
import { until } from '../../support/until.ts';

let world: ProjectorWorld;
before(async () => {
  world = await openProjectorWorld();
});
after(() => world.close());

test('a batch that no projector can read stops its partition, and readiness says which and how to get past it', async () => {
  const topic = await world.topic(2);
  const plan = world.plan(`
    type Query { items: [Item!]! @view(table: "item") }
    type Item @table(name: "item", topics: ["${topic}"], id: ["id"]) { id: ID! }
  `);
  const { ops, close } = await world.start(plan);
  const views = world.views(plan);
  const ids = async () => ((await world.read(views, plan, 'items')) as { id: string }[]).map(({ id }) => id).sort();
  await world.send(topic, 0, { key: 'k', json: { id: 'before' } });
  await writeUnreadable({ topic, partition: 0 });
  await world.send(topic, 0, { key: 'k', json: { id: 'behind' } });
  await world.send(topic, 1, { key: 'l', json: { id: 'other' } });
  const reason = await until('the reason', () => ops.readiness.reasons().partitions);
  assert.match(reason, new RegExp(`^offsets 1 to 1 of ${topic}/0 cannot be read: .*npm run skip -- ${topic}/0 1$`));
  await until('the other partition goes on', async () => (await ids()).length === 2);
  assert.deepEqual(await ids(), ['before', 'other']);

  const topics = openTopics(world.connection, { honourSkips: false });
  const lanes = openLanes(world.connection, { bufferBytes: 1_000_000 });
  await recordSkip({ topics, lanes, replicationFactor: 1 }, { topic, partition: 0 }, 1);
  await lanes.close();
  await topics.close();
  await world.caughtUp(topic);
  assert.deepEqual(await ids(), ['before', 'behind', 'other']);
  await until('the reason is gone', () => ops.readiness.reasons().partitions === undefined);
  await close();
});
