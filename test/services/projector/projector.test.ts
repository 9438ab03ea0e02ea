import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { KafkaRecord, TopicPartition } from '../../../lib/kafka/index.ts';
import { openProjectorWorld, type ProjectorWorld } from '../../support/projector-world.ts';
import { kafkaAddress } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

let world: ProjectorWorld;
beforeEach(async () => {
  world = await openProjectorWorld();
});
afterEach(() => world.close());

/** Two topics make one table of orders; the second alone makes another. */
function shop(placed: string, shipped: string): string {
  return `
    scalar SafeInt
    scalar DateTime
    type Query {
      order(id: ID!): Order @view(table: "order")
      orders: [Order!]! @view(table: "order")
      all: [Order!]! @view(table: "order") @requiresRole(anyOf: ["clerk"])
      parcels: [Parcel!]! @view(table: "parcel")
    }
    type Order @table(name: "order", topics: ["${placed}", "${shipped}"], id: ["id"]) {
      id: ID!
      cents: SafeInt!
      note: String
      parcel: String @from(field: "code")
      at: DateTime
    }
    type Parcel @table(name: "parcel", topics: ["${shipped}"], id: ["code"]) { code: ID! cents: SafeInt }
  `;
}

async function newShop(partitions = 2, config = {}) {
  const placed = await world.topic(partitions);
  const shipped = await world.topic(partitions, config);
  return { placed, shipped, plan: world.plan(shop(placed, shipped)) };
}

async function contentOf(at: TopicPartition): Promise<KafkaRecord[]> {
  const end = await world.topics.endOffset(at);
  const records: KafkaRecord[] = [];
  for (let offset = 0; offset < end; ) {
    const batch = await world.topics.fetch(at, offset, 1_048_576);
    records.push(...batch.records);
    offset = batch.nextOffset;
  }
  return records;
}

test('a row merges two topics, shows once its non-null fields are known, and only to its owner', async () => {
  const { placed, shipped, plan } = await newShop();
  const projector = await world.start(plan);
  const views = world.views(plan);
  await world.send(shipped, 0, { key: 'alice', json: { id: 'o1', code: 'p1' } });
  await world.caughtUp(shipped);
  assert.deepEqual(await world.read(views, plan, 'orders', {}, 'alice'), []);
  await world.send(placed, 0, {
    key: 'alice',
    json: { id: 'o1', cents: 1250, note: 'x', at: '2026-07-31T12:00:00+02:00' },
  });
  await world.caughtUp(placed);
  const row = { id: 'o1', cents: 1250, note: 'x', parcel: 'p1', at: '2026-07-31T10:00:00.000Z' };
  assert.deepEqual(await world.read(views, plan, 'orders', {}, 'alice'), [row]);
  assert.deepEqual(await world.read(views, plan, 'order', { id: 'o1' }, 'alice'), row);
  assert.deepEqual(await world.read(views, plan, 'orders', {}, 'bob'), []);
  assert.equal(await world.read(views, plan, 'order', { id: 'o1' }, 'bob'), null);
  assert.deepEqual(await world.read(views, plan, 'all'), [row]);
  await projector.close();
});

test('a tombstone deletes the rows of its key; older records of other topics, read later, do not bring them back', async () => {
  const { placed, shipped, plan } = await newShop();
  await world.send(placed, 1, { key: 'carol', sequence: 1, json: { id: 'o1', cents: 1 } });
  await world.send(shipped, 1, { key: 'carol', sequence: 2, json: { id: 'o1', code: 'p1' } });
  await world.send(placed, 1, { key: 'carol', sequence: 3, json: { id: 'o2', cents: 2 } });
  await world.send(placed, 1, { key: 'dave', sequence: 1, json: { id: 'o3', cents: 3 } });
  await world.send(placed, 1, { key: 'carol', sequence: 4, value: null });
  await world.send(shipped, 1, { key: 'carol', sequence: 5, json: { id: 'o2', code: 'p2' } });
  await world.send(placed, 1, { key: 'carol', sequence: 6, json: { id: 'o2', cents: 20 } });
  const projector = await world.start(plan);
  const views = world.views(plan);
  await world.caughtUp(placed, shipped);
  const orders = (await world.read(views, plan, 'all')) as { id: string; cents: number; parcel: string | null }[];
  assert.deepEqual(
    orders.map(({ id, cents, parcel }) => ({ id, cents, parcel })).sort((a, b) => (a.id < b.id ? -1 : 1)),
    [
      { id: 'o2', cents: 20, parcel: 'p2' },
      { id: 'o3', cents: 3, parcel: null },
    ],
  );
  // Read long after the tombstone, but older than it.
  await world.send(shipped, 1, { key: 'erik', sequence: 9, json: { id: 'o4', code: 'p4' } });
  await world.send(placed, 1, { key: 'erik', sequence: 10, value: null });
  await world.caughtUp(placed, shipped);
  await world.send(placed, 0, { key: 'finn', sequence: 2, value: null });
  await world.caughtUp(placed);
  await world.send(shipped, 0, { key: 'finn', sequence: 1, json: { id: 'o5', code: 'p5' } });
  await world.send(placed, 0, { key: 'finn', sequence: 3, json: { id: 'o5', cents: 5 } });
  await world.caughtUp(placed, shipped);
  const later = (await world.read(views, plan, 'all')) as { id: string; parcel: string | null }[];
  assert.deepEqual(later.map(({ id, parcel }) => [id, parcel])[0], ['o5', null]);
  assert.equal(later.length, 3);
  // The tombstone was in another topic than the parcels': they stay.
  assert.deepEqual(await world.read(views, plan, 'parcels', {}, 'carol'), [
    { code: 'p2', cents: null },
    { code: 'p1', cents: null },
  ]);
  await projector.close();
});

test('a record that fits not feeds no table and goes to the dead letters, with headers as Spring writes them', async () => {
  const { placed, shipped, plan } = await newShop(2, { 'message.timestamp.type': 'LogAppendTime' });
  const projector = await world.start(plan);
  const views = world.views(plan);
  await world.send(shipped, 1, {
    key: 'erin',
    json: { id: 'o1', code: 'p1', cents: 'twelve' },
    headers: { own: 'kept' },
  });
  await world.send(shipped, 1, { key: 'erin', value: 'no json' });
  await world.send(shipped, 1, { key: 'erin', value: '[1]' });
  await world.send(shipped, 1, { key: 'erin', json: { id: null, code: 'p2' } });
  await world.send(shipped, 1, { key: 'erin', json: { code: 'p\u0000' } });
  await world.send(shipped, 1, { key: 'erin', json: { other: 'no id at all' } });
  await world.send(shipped, 1, { key: 'erin', json: { id: 'o1', code: 'p3', cents: 3 } });
  await world.send(placed, 1, { key: 'erin', json: { id: 'o1', cents: 1 } });
  await world.caughtUp(placed, shipped);
  assert.deepEqual(await world.read(views, plan, 'parcels', {}, 'erin'), [{ code: 'p3', cents: 3 }]);
  const letters = await contentOf({ topic: `${shipped}-dlt`, partition: 1 });
  assert.equal(await world.topics.partitionCount(`${shipped}-dlt`), 2);
  assert.deepEqual(
    letters.map(({ value }) => value?.toString()),
    [
      JSON.stringify({ id: 'o1', code: 'p1', cents: 'twelve' }),
      'no json',
      '[1]',
      JSON.stringify({ id: null, code: 'p2' }),
      JSON.stringify({ code: 'p\u0000' }),
    ],
  );
  const [first, second] = letters;
  const headers = first?.headers ?? {};
  const [original] = await contentOf({ topic: shipped, partition: 1 });
  assert.equal(first?.key?.toString(), 'erin');
  assert.equal(String(headers.own), 'kept');
  assert.equal(String(headers['kafka_dlt-original-topic']), shipped);
  assert.deepEqual(headers['kafka_dlt-original-partition'], Buffer.from([0, 0, 0, 1]));
  assert.deepEqual(headers['kafka_dlt-original-offset'], Buffer.from([0, 0, 0, 0, 0, 0, 0, 0]));
  assert.deepEqual(second?.headers['kafka_dlt-original-offset'], Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]));
  const timestamp = headers['kafka_dlt-original-timestamp'];
  assert.ok(Buffer.isBuffer(timestamp) && timestamp.length === 8);
  assert.equal(Number(timestamp.readBigInt64BE()), original?.timestampMs);
  assert.equal(String(headers['kafka_dlt-original-timestamp-type']), 'LogAppendTime');
  assert.equal(String(headers['kafka_dlt-original-consumer-group']), world.group);
  assert.match(String(headers['kafka_dlt-exception-fqcn']), /^[a-zA-Z.]+Exception$/);
  assert.match(String(headers['kafka_dlt-exception-message']), /field cents must be an integer/);
  const metrics = await projector.ops.metrics.metrics();
  assert.match(metrics, new RegExp(`penstock_projector_dead_letters_total\\{topic="${shipped}"\\} 5`));
  await projector.close();
});

test('a misfit that its own headers make too large for a dead letter goes there shortened', async () => {
  const { shipped, plan } = await newShop();
  const projector = await world.start(plan);
  const value = JSON.stringify({ code: 1.5, padding: 'x'.repeat(1_048_350) });
  await world.send(shipped, 0, { key: 'ivy', value });
  await world.caughtUp(shipped);
  const [letter] = await contentOf({ topic: `${shipped}-dlt`, partition: 0 });
  assert.equal(letter?.value?.toString(), value.slice(0, 65_536));
  assert.deepEqual(letter?.headers['penstock_dlt-value-bytes'], Buffer.from([0, 15, 255, value.length % 256]));
  assert.equal(String(letter?.headers['kafka_dlt-original-topic']), shipped);
  await projector.close();
});

test('a partition whose dead letter cannot be written waits and says so; all others go on; nothing is lost', async () => {
  const { placed, shipped, plan } = await newShop();
  const dead = `${placed}-dlt`;
  // It takes no record. Its partition count is its own affair.
  const stuck = { 'max.message.bytes': '1' };
  await world.topics.ensure([{ name: dead, partitions: 1, replicationFactor: 1, config: stuck }]);
  const projector = await world.start(plan);
  const views = world.views(plan);
  await world.send(placed, 0, { key: 'frank', json: { id: 'o1', cents: 1 } });
  const offset = await world.send(placed, 0, { key: 'frank', json: { id: 'o2', cents: 'many' } });
  await world.send(placed, 0, { key: 'frank', json: { id: 'o3', cents: 3 } });
  const orders = async (user: string) =>
    ((await world.read(views, plan, 'orders', {}, user)) as { id: string }[]).map(({ id }) => id).join();
  const parcels = async (user: string) =>
    ((await world.read(views, plan, 'parcels', {}, user)) as { code: string }[]).map(({ code }) => code).join();
  await until('the record before the misfit', async () => (await orders('frank')) === 'o1');
  const reason = await until('a reason', () => projector.ops.readiness.reasons().partitions);
  assert.match(reason, new RegExp(`^${placed}/0 waits at offset ${offset} for its dead letter: ${dead} `));
  assert.match(reason, /PENSTOCK_PROJECTOR_DEAD_LETTERS=skip/);
  // While a letter is under way and while it is waited with: other partitions, and letters of another topic.
  for (let round = 1; round <= 20; round++) {
    await world.send(placed, 1, { key: 'gina', json: { id: `p${round}`, cents: round } });
    await world.send(shipped, 1, { key: 'gina', json: { id: 'bad', code: 'x', cents: 'many' } });
    await world.send(shipped, 1, { key: 'gina', json: { code: `c${round}` } });
    await until('another partition', async () => (await orders('gina')).startsWith(`p${round},`) || round === 1);
    await until('letters of another topic', async () => (await parcels('gina')).startsWith(`c${round}`));
    assert.equal(await orders('frank'), 'o1');
  }
  assert.equal((await contentOf({ topic: `${shipped}-dlt`, partition: 1 })).length, 20);
  assert.ok(projector.ops.readiness.reasons().partitions);

  // It is deleted while it is waited for, and made anew by the projector.
  await world.kafka.remove(dead);
  await until('the record behind the misfit', async () => (await orders('frank')) === 'o3,o1', 60_000);
  await until('ready again', () => projector.ops.readiness.reasons().partitions === undefined);
  assert.equal(await world.topics.partitionCount(dead), 2);
  const letters = await contentOf({ topic: dead, partition: 0 });
  assert.deepEqual([...new Set(letters.map(({ value }) => value?.toString()))], ['{"id":"o2","cents":"many"}']);
  await projector.close();
});

test('a dead-letter topic that is missing and may not be created is refused at start, with the command that makes it', async () => {
  const { placed, plan } = await newShop(3);
  // One broker can't have two replicas: a refusal, as a policy or a missing right are.
  await assert.rejects(world.start(plan, { replicationFactor: 2 }), (error: Error) => {
    const command = `kafka-topics.sh --bootstrap-server ${kafkaAddress()} --create --topic ${placed}-dlt --partitions 3 --replication-factor 2`;
    assert.equal(error.name, 'DeadLetterTopicError');
    assert.ok(error.message.includes(command), error.message);
    assert.match(error.message, /INVALID_REPLICATION_FACTOR.*PENSTOCK_PROJECTOR_DEAD_LETTERS=skip/);
    return true;
  });
});

test('letters that are skipped by configuration need no topic; they are counted, and hold up nobody', async () => {
  const { placed, shipped, plan } = await newShop();
  const projector = await world.start(plan, { deadLetters: 'skip', replicationFactor: 2 });
  const views = world.views(plan);
  for (const cents of ['many', 'more', 3])
    await world.send(placed, 0, { key: 'hal', json: { id: `o${cents}`, cents } });
  await world.caughtUp(placed, shipped);
  const rows = (await world.read(views, plan, 'orders', {}, 'hal')) as { id: string }[];
  assert.deepEqual(
    rows.map(({ id }) => id),
    ['o3'],
  );
  assert.equal(await world.topics.partitionCount(`${placed}-dlt`), undefined);
  const metrics = await projector.ops.metrics.metrics();
  assert.match(metrics, new RegExp(`penstock_projector_dead_letters_skipped_total\\{topic="${placed}"\\} 2`));
  assert.equal(projector.ops.readiness.reasons().partitions, undefined);
  await projector.close();
});

test('a record that a crashed producer wrote again changes nothing, whatever it says', async () => {
  const { placed, shipped, plan } = await newShop();
  const projector = await world.start(plan);
  const views = world.views(plan);
  await world.send(placed, 0, { key: 'hugo', sequence: 1, json: { id: 'o1', cents: 1 } });
  await world.send(placed, 0, { key: 'hugo', sequence: 2, json: { id: 'o1', cents: 2 } });
  await world.caughtUp(placed);
  await world.send(placed, 0, { key: 'hugo', sequence: 1, json: { id: 'o9', cents: 9 } });
  await world.send(placed, 0, { key: 'hugo', sequence: 2, json: { id: 'o1', cents: 8 } });
  await world.caughtUp(placed, shipped);
  const orders = async () => {
    const rows = (await world.read(views, plan, 'all')) as { id: string; cents: number }[];
    return rows.map(({ id, cents }) => [id, cents]);
  };
  assert.deepEqual(await orders(), [['o1', 2]]);
  await world.send(placed, 0, { key: 'hugo', sequence: 3, value: null });
  await world.send(placed, 0, { key: 'hugo', sequence: 4, json: { id: 'o1', cents: 4 } });
  await world.send(placed, 0, { key: 'hugo', sequence: 3, value: null });
  await world.caughtUp(placed);
  assert.deepEqual(await orders(), [['o1', 4]]);
  await projector.close();
});
