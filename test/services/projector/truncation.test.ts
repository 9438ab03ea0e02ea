// runs alone: three brokers of its own are killed, and the one that is behind is elected
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { buildTable } from '../../../services/projector/build.ts';
import { openStore, type Store } from '../../../services/projector/store.ts';
import { openProjectorWorld, type ProjectorWorld } from '../../support/projector-world.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { type ScratchBrokers, startScratchBrokers } from '../../support/scratch-brokers.ts';
import { openUncleanElections, type UncleanElections } from '../../support/unclean-election.ts';
import { until } from '../../support/until.ts';

let brokers: ScratchBrokers;
let elections: UncleanElections;
let world: ProjectorWorld;
let store: Store;
before(async () => {
  brokers = await startScratchBrokers(3);
  elections = await openUncleanElections(brokers);
  world = await openProjectorWorld(brokers.addresses);
  store = openStore({ url: world.postgres.url, poolSize: 3 }, quietOps('rebuild'));
});
after(async () => {
  await store?.close();
  await world?.close();
  await elections?.close();
  await brokers?.close();
});

const topic = 'counters';
const schema = `
  scalar SafeInt
  type Query { counters: [Counter!]! @view(table: "counter") @requiresRole(anyOf: ["all"]) }
  type Counter @table(name: "counter", topics: ["${topic}"], id: ["name"]) { name: ID! n: SafeInt! }`;

test('a truncated log holds its partition up, others go on, and a rebuild makes the table what the log says now', async () => {
  await elections.topic(topic, 2);
  const plan = world.plan(schema);
  const projector = await world.start(plan);
  const views = world.views(plan);
  const send = (partition: number, name: string, n: number) =>
    world.send(topic, partition, { key: name, json: { name, n } });
  const rows = async () => {
    const found = (await world.read(views, plan, 'counters')) as { name: string; n: number }[];
    return found.map(({ name, n }) => `${name} ${n}`).toSorted();
  };
  const shows = (...expected: string[]) =>
    until(`the view to be ${expected.join()}`, async () => (await rows()).join() === expected.join());
  const reason = () => projector.ops.readiness.reasons().partitions;

  await send(0, 'kept', 1);
  await send(1, 'elsewhere', 1);
  await elections.leaveBehind();
  await send(0, 'kept', 2);
  await send(0, 'lost', 1);
  await shows('elsewhere 1', 'kept 2', 'lost 1');
  await elections.elect();
  for (const n of [1, 2, 3, 4]) await send(0, 'other', n);
  await send(1, 'elsewhere', 2);

  await until('a reason that names the command', () => reason());
  assert.match(String(reason()), /^counters\/0 was truncated before offset 3 .*: npm run rebuild -- counter$/);
  await shows('elsewhere 2', 'kept 2', 'lost 1');
  const view = plan.views.get('counters');
  assert.ok(view);
  const position = (await views.openSnapshot().then(async snapshot => {
    try {
      await snapshot.read(view, {}, { userKey: 'kept', everyRow: true });
      return await snapshot.position('kept');
    } finally {
      await snapshot.close();
    }
  })) as { partitions: { leaderEpoch?: number }[] };
  assert.equal(position.partitions.length, 2);
  assert.ok(position.partitions.every(({ leaderEpoch }) => leaderEpoch !== undefined));

  const table = plan.tables.get('counter');
  assert.ok(table);
  const context = { store, topics: world.topics, tables: plan.tables, batchRecords: 200, log: quietOps().log };
  const signal = new AbortController().signal;
  assert.equal((await buildTable({ ...context, signal, onProgress: () => undefined }, table)).kind, 'swapped');
  await shows('elsewhere 2', 'kept 1', 'other 4');
  await until('it is ready again', () => reason() === undefined);
  await send(0, 'other', 5);
  await shows('elsewhere 2', 'kept 1', 'other 5');
  await projector.close();
});
