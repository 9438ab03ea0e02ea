// starts first: several sessions have to run out
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { createServer, connect as netConnect, type Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import type { AppPlan } from '../../../lib/app/index.ts';
import { type KafkaRecord, murmur2, openLanes } from '../../../lib/kafka/index.ts';
import { VersionCache } from '../../../lib/views/index.ts';
import { applyBatch, liveTarget } from '../../../services/projector/batch.ts';
import { claimPositions } from '../../../services/projector/positions.ts';
import { readRecord } from '../../../services/projector/reading.ts';
import { openStore } from '../../../services/projector/store.ts';
import { openProjectorWorld, type ProjectorWorld } from '../../support/projector-world.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { startScratchBrokers } from '../../support/scratch-brokers.ts';
import { kafkaAddress, openScratchKafka } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';
import { recordOf } from '../../support/view-table.ts';
import { type ProjectorProcess, spawnProjector } from './processes.ts';
import { referenceRows } from './reference.ts';

let world: ProjectorWorld;
const processes: ProjectorProcess[] = [];
beforeEach(async () => {
  world = await openProjectorWorld();
});
afterEach(async () => {
  for (const each of processes.splice(0)) {
    each.signal('SIGKILL');
    await each.exited;
  }
  await world.close();
});

const things = (first: string, second: string) => `
  scalar SafeInt
  type Query { things: [Thing!]! @view(table: "thing") @requiresRole(anyOf: ["all"]) }
  type Thing @table(name: "thing", topics: ["${first}", "${second}"], id: ["id"]) {
    id: ID! a: SafeInt b: SafeInt text: String
  }`;

async function project(schema: string, more: Record<string, string> = {}): Promise<ProjectorProcess> {
  const found = await spawnProjector({
    PENSTOCK_SCHEMA: schema,
    PENSTOCK_KAFKA_BROKERS: kafkaAddress(),
    PENSTOCK_KAFKA_CREATE_TOPICS: 'true',
    PENSTOCK_KAFKA_PARTITIONS: '4',
    PENSTOCK_KAFKA_HEARTBEAT_INTERVAL_MS: '100',
    PENSTOCK_POSTGRES_URL: world.postgres.url,
    PENSTOCK_PROJECTOR_GROUP: world.group,
    PENSTOCK_PROJECTOR_BATCH_RECORDS: '100',
    ...more,
  });
  processes.push(found);
  return found;
}

/** Random records of many keys: numbered or not, repeats, tombstones, misfits, rows that several keys feed. */
function startLoad(topics: readonly string[], partitions: number) {
  const any = (below: number) => Math.floor(Math.random() * below);
  const sequences = new Map<string, number>();
  let stopped = false;
  let sent = 0;
  const one = async (): Promise<void> => {
    const isNumbered = Math.random() < 0.6;
    const key = `${isNumbered ? 'numbered' : 'plain'}-${any(8)}`;
    const partition = (murmur2(Buffer.from(key)) & 0x7fffffff) % partitions;
    const topic = topics[any(topics.length)] ?? '';
    const last = sequences.get(key) ?? 0;
    const isRepeat = isNumbered && last > 0 && Math.random() < 0.08;
    const sequence = isNumbered ? (isRepeat ? 1 + any(last) : last + 1) : undefined;
    if (sequence !== undefined && !isRepeat) sequences.set(key, sequence);
    const common = { key, ...(sequence === undefined ? {} : { sequence }) };
    sent++;
    const dice = Math.random();
    if (dice < 0.02) await world.send(topic, partition, { ...common, value: null });
    else if (dice < 0.04) await world.send(topic, partition, { ...common, json: { id: 'misfit', a: 'none' } });
    else {
      const id = Math.random() < 0.2 ? `shared-${any(4)}` : `${key}-${any(6)}`;
      const fields = { ...(any(2) ? { a: any(1e6) } : {}), ...(any(2) ? { b: any(1e6) } : {}) };
      await world.send(topic, partition, { ...common, json: { id, ...fields, text: any(3) ? `t${any(99)}` : null } });
    }
  };
  const lane = async (): Promise<void> => {
    while (!stopped) {
      await one();
      await new Promise(resolve => setTimeout(resolve, 2));
    }
  };
  const running = Promise.all([lane(), lane(), lane()]);
  return {
    async stop() {
      stopped = true;
      await running;
      return sent;
    },
  };
}

async function contentOf(topic: string, partitions: number): Promise<KafkaRecord[]> {
  const records: KafkaRecord[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    const end = await world.topics.endOffset({ topic, partition });
    for (let offset = 0; offset < end; ) {
      const batch = await world.topics.fetch({ topic, partition }, offset, 1_048_576);
      records.push(...batch.records);
      offset = batch.nextOffset;
    }
  }
  return records;
}

async function assertIsFold(plan: AppPlan, topics: readonly string[], partitions: number): Promise<void> {
  const records = (await Promise.all(topics.map(topic => contentOf(topic, partitions)))).flat();
  const expected = referenceRows(topics, records, body => typeof body.a !== 'string').map(({ fields }) => ({
    ...{ id: null, a: null, b: null, text: null },
    ...fields,
  }));
  assert.ok(expected.length > 20);
  const views = world.views(plan);
  const rows = await world.read(views, plan, 'things');
  assert.deepEqual(rows, expected);
  await views.close();
}

async function holders(): Promise<number> {
  const rows = await world.postgres.query<{ epoch: string }>(
    'SELECT epoch FROM penstock.view_positions WHERE scope = 0',
  );
  return rows.reduce((sum, { epoch }) => sum + Number(epoch), 0);
}

test('projectors that are killed, paused as zombies, drained and joined leave just what the log says', async () => {
  const topics = [await world.topic(4), await world.topic(4)];
  const [first = '', second = ''] = topics;
  const schema = things(first, second);
  const plan = world.plan(schema);
  const a = await project(schema);
  await until('ready', async () => (await a.readyz()).status === 200);
  const load = startLoad(topics, 4);
  const b = await project(schema);
  await until('two are ready', async () => (await b.readyz()).status === 200);

  const before = await holders();
  a.signal('SIGSTOP');
  await until('the other has taken over from the paused one', async () => (await holders()) > before, 30_000);
  a.signal('SIGCONT');
  await until('the zombie is back', async () => (await a.readyz()).status === 200);

  b.signal('SIGKILL');
  assert.equal(await b.exited, null);
  const c = await project(schema);
  await until('the third is ready', async () => (await c.readyz()).status === 200, 30_000);
  a.signal('SIGTERM');
  assert.equal(await a.exited, 0);
  const sent = await load.stop();
  await world.caughtUp(...topics);
  assert.ok(sent > 500, `only ${sent} records`);
  await assertIsFold(plan, topics, 4);
  c.signal('SIGTERM');
  assert.equal(await c.exited, 0);
});

test('a batch of a projector that lost its partition changes nothing', async () => {
  const topic = await world.topic(1);
  const plan = world.plan(things(topic, topic).replace(`"${topic}", "${topic}"`, `"${topic}"`));
  const projector = await world.start(plan);
  await world.send(topic, 0, { key: 'k', json: { id: 'one', a: 1 } });
  await world.caughtUp(topic);
  await projector.close();
  const store = openStore({ url: world.postgres.url, poolSize: 2 }, quietOps());
  const at = [{ topic, partition: 0 }];
  const claim = (generation: number) =>
    store.transaction(queries => claimPositions(queries, at, new Map([[topic, 'one']]), generation, false));
  const old = await claim(7);
  assert.ok(old.kind === 'claimed' && old.positions[0]);
  const { epoch } = old.positions[0];
  assert.equal((await claim(8)).kind, 'claimed');
  assert.deepEqual(await claim(7), { kind: 'stale' });
  const record = recordOf({ id: 'two', a: 2 }, { topic, offset: 1, timestampMs: Date.now() });
  const write = (fence: { epoch: number; from: number }) =>
    store.transaction(queries =>
      applyBatch(queries, liveTarget(new VersionCache()), [
        { topic, partition: 0, ...fence, next: 2, records: [readRecord(plan.tables, record)] },
      ]),
    );
  const rows = async () => {
    const views = world.views(plan);
    const found = (await world.read(views, plan, 'things')) as { id: string }[];
    await views.close();
    return found.map(({ id }) => id);
  };
  assert.equal((await write({ epoch, from: 1 })).kind, 'stale');
  assert.equal((await write({ epoch: epoch + 1, from: 0 })).kind, 'stale');
  assert.deepEqual(await rows(), ['one']);
  assert.equal((await write({ epoch: epoch + 1, from: 1 })).kind, 'applied');
  assert.equal((await write({ epoch: epoch + 1, from: 1 })).kind, 'stale');
  assert.deepEqual(await rows(), ['two', 'one']);
  await store.close();
});

/** A port in front of a server, to be closed and opened. */
async function openGate(target: { host: string; port: number }) {
  const sockets = new Set<Socket>();
  let isOpen = false;
  const server = createServer(socket => {
    if (!isOpen) {
      socket.destroy();
      return;
    }
    const upstream = netConnect(target);
    for (const each of [socket, upstream]) {
      sockets.add(each);
      each.on('error', () => undefined);
      each.on('close', () => {
        sockets.delete(each);
        socket.destroy();
        upstream.destroy();
      });
    }
    socket.pipe(upstream).pipe(socket);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    open: () => {
      isOpen = true;
    },
    shut: () => {
      isOpen = false;
      for (const socket of sockets) socket.destroy();
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise<void>(resolve => server.close(() => resolve()));
    },
  };
}

test('PostgreSQL and Kafka may be absent at start, and PostgreSQL may go away: reasons, and no restart', async () => {
  const topics = [await world.topic(4), await world.topic(4)];
  const [first = '', second = ''] = topics;
  const schema = things(first, second);
  const plan = world.plan(schema);
  const server = new URL(world.postgres.url);
  const gate = await openGate({ host: server.hostname, port: Number(server.port || 5432) });
  const [host = '', port = ''] = kafkaAddress().split(':');
  const kafkaGate = await openGate({ host, port: Number(port) });
  server.host = `127.0.0.1:${gate.port}`;
  const projector = await project(schema, {
    PENSTOCK_POSTGRES_URL: server.href,
    PENSTOCK_KAFKA_BROKERS: `127.0.0.1:${kafkaGate.port}`,
  });
  const reasonOf = async (part: string) => (await projector.readyz()).reasons[part];
  await until('Kafka is named', async () => reasonOf('kafka'));
  kafkaGate.open();
  await until('Kafka is there', async () => (await reasonOf('kafka')) === undefined, 30_000);
  await until('PostgreSQL is named', async () => reasonOf('postgres'));
  gate.open();
  await until('ready', async () => (await projector.readyz()).status === 200, 30_000);

  const load = startLoad(topics, 4);
  await until('rows', async () => (await world.postgres.query('SELECT FROM views.thing__v1')).length > 10);
  gate.shut();
  await until('PostgreSQL is named again', async () => reasonOf('postgres'));
  gate.open();
  await until('ready again', async () => (await projector.readyz()).status === 200, 30_000);
  await load.stop();
  await world.caughtUp(...topics);
  await assertIsFold(plan, topics, 4);
  projector.signal('SIGTERM');
  assert.equal(await projector.exited, 0);
  await gate.close();
  await kafkaGate.close();
});

test('Kafka may go away for longer than a group session: a reason, and no restart', async t => {
  const brokers = await startScratchBrokers(1);
  const kafka = openScratchKafka(brokers.addresses);
  const lanes = openLanes(kafka.connection, { bufferBytes: 1_048_576 });
  t.after(async () => {
    await lanes.close();
    await kafka.close();
    await brokers.close();
  });
  const topic = await kafka.topic(2);
  const schema = things(topic, topic).replace(`"${topic}", "${topic}"`, `"${topic}"`);
  const projector = await project(schema, {
    PENSTOCK_KAFKA_BROKERS: brokers.addresses.join(),
    PENSTOCK_KAFKA_PARTITIONS: '2',
  });
  const send = (id: string) => lanes.send({ topic, partition: 1 }, { key: 'k', value: JSON.stringify({ id }) });
  const rows = async () => (await world.postgres.query('SELECT FROM views.thing__v1')).length;
  await until('a table', async () => (await projector.readyz()).status === 200, 60_000);
  await send('before');
  await until('the first row', async () => (await rows()) === 1, 60_000);
  await brokers.kill(1);
  const reasonOf = async (part: string) => (await projector.readyz()).reasons[part];
  await until('Kafka is named', async () => reasonOf('kafka'));
  await until('the group session is over', async () => reasonOf('group'), 30_000);
  brokers.start(1);
  await until('ready again', async () => (await projector.readyz()).status === 200, 60_000);
  await send('after');
  await until('the second row', async () => (await rows()) === 2, 30_000);
  projector.signal('SIGTERM');
  assert.equal(await projector.exited, 0);
});

test('while brokers do not acknowledge a letter only its own partition waits; it is written when they do', async t => {
  const brokers = await startScratchBrokers(3);
  const kafka = openScratchKafka(brokers.addresses);
  const lanes = openLanes(kafka.connection, { bufferBytes: 1_048_576 });
  t.after(async () => {
    await lanes.close();
    await kafka.close();
    await brokers.close();
  });
  const [topic, replicationFactor] = ['replicated', 3];
  const config = { 'min.insync.replicas': '3' };
  await kafka.topics.ensure([
    { name: topic, partitions: 2, replicationFactor },
    { name: `${topic}-dlt`, partitions: 2, replicationFactor, config },
  ]);
  const plan = world.plan(things(topic, topic).replace(`"${topic}", "${topic}"`, `"${topic}"`));
  const projector = await world.start(plan, { brokers: [...brokers.addresses] });
  const views = world.views(plan);
  const send = (partition: number, value: object) =>
    lanes.send({ topic, partition }, { key: `${partition}`, value: JSON.stringify(value) });
  const has = async (id: string) => {
    const rows = await world.read(views, plan, 'things').catch(() => []);
    return (rows as { id: string }[]).some(row => row.id === id);
  };
  await send(0, { id: 'first' });
  await until('a table', () => has('first'), 60_000);
  await brokers.kill(3);
  await send(0, { id: 'misfit', a: 'no number' });
  await send(0, { id: 'behind' });
  const reason = await until('a reason', () => projector.ops.readiness.reasons().partitions, 60_000);
  assert.match(reason, /^replicated\/0 waits at offset 1 for its dead letter: replicated-dlt /);
  for (let n = 0; n < 20; n++) {
    await send(1, { id: `other-${n}` });
    await until('another partition goes on', () => has(`other-${n}`));
  }
  assert.equal(await has('behind'), false);
  brokers.start(3);
  await until('the record behind the misfit', () => has('behind'), 120_000);
  await projector.close();
});

test('a topic that does not exist is refused at start, with its table', async () => {
  const schema = things('no-such-topic-1', 'no-such-topic-2');
  const projector = await project(schema, { PENSTOCK_KAFKA_CREATE_TOPICS: 'false' });
  assert.equal(await projector.exited, 1);
});
