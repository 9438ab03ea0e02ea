import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readGrowths } from '../../lib/kafka/index.ts';
import { openGrowing } from '../../services/command-handler/growing.ts';
import { openProjectorWorld } from '../support/projector-world.ts';
import { kafkaAddress, openScratchKafka } from '../support/scratch-kafka.ts';
import { scratchPostgres } from '../support/scratch-postgres.ts';
import { until } from '../support/until.ts';
import { openStage } from './command-handler/stage.ts';

const told = /has 8 partitions, of which 4 are read: 1 records lie in the others\. Stop all services/;

test('a projector says that records lie in partitions that it does not read', async t => {
  const world = await openProjectorWorld();
  t.after(() => world.close());
  const topic = await world.topic(4);
  const plan = world.plan(`type Query { rows: [Row!]! @view(table: "rows") }
    type Row @table(name: "rows", topics: ["${topic}"], id: ["id"]) { id: ID! }`);
  const { ops } = await world.start(plan);
  await world.topics.grow(topic, 8);
  await world.send(topic, 7, { key: 'k', json: { id: '1' } });
  await until('a reason', () => told.test(ops.readiness.reasons().topics ?? ''), 20_000);
});

test('a handler says that commands lie in partitions that it does not read, and goes on with the others', async t => {
  const stage = await openStage();
  t.after(() => stage.close());
  const handler = await stage.start();
  await handler.ready();
  await stage.kafka.topics.grow(stage.topic('commands'), 8);
  await stage.produce({ key: 'k', value: '{}' }, 7);
  await until('a reason', async () => told.test((await handler.reasons()).topics ?? ''), 20_000);
  const verdict = await stage.verdict('alice', await stage.command('alice', 'openAccount', {}));
  assert.equal(verdict.success, true);
});

test('what is advised works: the other topics get as many partitions, and their growth is recorded', async t => {
  const kafka = openScratchKafka();
  const postgres = await scratchPostgres();
  t.after(async () => {
    await kafka.close();
    await postgres.drop();
  });
  const [commands, feedback] = [await kafka.topic(4), await kafka.topic(4)];
  const growing = await openGrowing({
    PENSTOCK_SCHEMA: `type Query { said: [Said!]! @view(table: "said") }
      type Mutation { say(text: String!): Said! @command(topic: "${commands}", type: "say", feedback: "${feedback}") }
      type Said @table(name: "said", topics: ["${feedback}"], id: ["id"]) { id: ID! ok: Boolean }`,
    PENSTOCK_KAFKA_BROKERS: kafkaAddress(),
    PENSTOCK_POSTGRES_URL: postgres.url,
    PENSTOCK_OWNERSHIP_GROUP: kafka.group(),
    PENSTOCK_HANDLER_GROUP: kafka.group(),
    PENSTOCK_PROJECTOR_GROUP: kafka.group(),
  });
  await kafka.topics.grow(feedback, 8);
  await growing.grow(8);
  await growing.close();
  for (const topic of [commands, feedback]) assert.equal(await kafka.topics.partitionCount(topic), 8);
  const growths = await readGrowths(kafka.topics, [commands, feedback]);
  assert.deepEqual([...growths.keys()], [commands]);
});
