import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { testKafka } from '../../support/dump.ts';
import { openProjectorWorld, type ProjectorWorld } from '../../support/projector-world.ts';
import { kafkaAddress } from '../../support/scratch-kafka.ts';

let world: ProjectorWorld;
before(async () => {
  world = await openProjectorWorld();
});
after(() => world.close());

test('a record whose timestamp no view can hold has its row, with none for its time, and holds nobody up', async () => {
  const topic = await world.topic(1, {
    'message.timestamp.type': 'CreateTime',
    'message.timestamp.after.max.ms': '9223372036854775807',
  });
  const producer = testKafka([kafkaAddress()]).producer();
  await producer.connect();
  const nowMs = Date.now();
  const timestamps = [`${nowMs}000000`, '9223372036854775807', '-86400000', `${nowMs}`];
  for (const [index, timestamp] of timestamps.entries()) {
    await producer.send({
      topic,
      messages: [{ key: `k${index}`, value: JSON.stringify({ id: `${index}` }), timestamp }],
    });
  }
  await producer.disconnect();
  const plan = world.plan(`
    scalar SafeInt
    scalar DateTime
    type Query { notes: [Note!]! @view(table: "note") @requiresRole(anyOf: ["clerk"]) }
    type Note @table(name: "note", topics: ["${topic}"], id: ["id"]) {
      id: ID! at: DateTime! @from(field: "_timestamp") ms: SafeInt! @from(field: "_timestamp")
    }
  `);
  const projector = await world.start(plan);
  await world.caughtUp(topic);
  const rows = (await world.read(world.views(plan), plan, 'notes')) as { id: string; at: string; ms: number }[];
  const none = { at: '1969-12-31T23:59:59.999Z', ms: -1 };
  assert.deepEqual(
    rows.sort((a, b) => Number(a.id) - Number(b.id)),
    [0, 1, 2].map(id => ({ id: `${id}`, ...none })).concat({ id: '3', at: new Date(nowMs).toISOString(), ms: nowMs }),
  );
  const stored = await world.postgres.query(
    'SELECT timestamp_ms::text AS ms FROM penstock.view_positions WHERE scope = 0',
  );
  assert.deepEqual(stored, [{ ms: `${nowMs}` }]);
  await projector.close();
});
