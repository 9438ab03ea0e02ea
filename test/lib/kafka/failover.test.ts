// runs apart: three brokers of its own are killed and paused while thousands of records flow
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  type Assignment,
  type ControlGroup,
  joinControlGroup,
  openLanes,
  openReader,
  type RecordSink,
} from '../../../lib/kafka/index.ts';
import { type ScratchBrokers, startScratchBrokers } from '../../support/scratch-brokers.ts';
import { contentOf, openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

/** Three brokers, three copies, two of which must have a record; each test takes one broker away. */
let brokers: ScratchBrokers;
let kafka: ScratchKafka;
before(async () => {
  brokers = await startScratchBrokers(3);
  kafka = openScratchKafka(brokers.addresses);
});
after(async () => {
  await kafka?.close();
  await brokers?.close();
});

async function replicatedTopic(partitions: number): Promise<string> {
  const name = `replicated-${partitions}-${Date.now()}`;
  await kafka.topics.ensure([{ name, partitions, replicationFactor: 3 }]);
  return name;
}

interface Traffic {
  /** Resolves when each partition has had so many records sent from now on acknowledged and read. */
  flows(awaited: string, records?: number): Promise<void>;
  stop(): Promise<void>;
}

/** Sends and reads all the time; `stop` checks that every record is there once, in order, where its send said. */
async function startTraffic(partitions: number): Promise<Traffic> {
  const topic = await replicatedTopic(partitions);
  const lanes = openLanes(kafka.connection, { bufferBytes: 1_000_000, deliveryTimeoutMs: 60_000 });
  const reader = openReader(kafka.connection, { maxWaitMs: 100, partitionBytes: 262_144 });
  const sent: string[][] = Array.from({ length: partitions }, () => []);
  const offsets: number[][] = Array.from({ length: partitions }, () => []);
  const read: string[][] = Array.from({ length: partitions }, () => []);
  const failures: unknown[] = [];
  let acknowledged = 0;
  const sink: RecordSink = {
    onBatch: ({ partition, records }) => {
      for (const { value } of records) read[partition]?.push(String(value));
    },
    onFault: fault => void failures.push(fault),
  };
  for (let partition = 0; partition < partitions; partition++) reader.assign({ topic, partition }, 0, sink);
  const pending = new Set<Promise<void>>();
  let n = 0;
  const ticker = setInterval(() => {
    for (let i = 0; i < 10; i++, n++) {
      const partition = n % partitions;
      const value = `v${n}`;
      sent[partition]?.push(value);
      const sending = lanes.send({ topic, partition }, { key: `k${n % 7}`, value }).then(
        ({ offset }) => {
          offsets[partition]?.push(offset);
          acknowledged++;
        },
        (error: unknown) => void failures.push(error),
      );
      pending.add(sending);
      void sending.finally(() => pending.delete(sending));
    }
  }, 10);
  return {
    flows: (awaited, records = 20) => {
      const marks = sent.map(({ length }) => length + records);
      const reached = (lists: readonly (readonly unknown[])[]) =>
        marks.every((mark, partition) => (lists[partition]?.length ?? 0) >= mark);
      return until(awaited, () => reached(offsets) && reached(read), 120_000).then(() => undefined);
    },
    async stop() {
      clearInterval(ticker);
      await Promise.all(pending);
      await until('all is read', () => read.flat().length >= acknowledged);
      await reader.close();
      await lanes.close();
      assert.deepEqual(failures, []);
      for (let partition = 0; partition < partitions; partition++) {
        const mine = sent[partition] ?? [];
        assert.deepEqual(await contentOf(kafka.topics, { topic, partition }), mine);
        assert.deepEqual(read[partition], mine);
        assert.deepEqual(
          offsets[partition],
          mine.map((_, i) => i),
        );
      }
    },
  };
}

test('brokers are killed and come back: every record is there once and in order, for the log and for the reader', async () => {
  const traffic = await startTraffic(24);
  await traffic.flows('traffic flows');
  await brokers.kill(2);
  await traffic.flows('traffic flows without broker 2');
  brokers.start(2);
  await allAreBack();
  await traffic.flows('traffic flows with broker 2 back');
  await brokers.kill(3); // its leaders move also to the one that has come back
  await traffic.flows('traffic flows without broker 3');
  brokers.start(3);
  await traffic.stop();
  await allAreBack();
});

test('a broker stands still for longer than its session: nothing is lost, nothing is twice', async () => {
  const traffic = await startTraffic(12);
  await traffic.flows('traffic flows');
  brokers.pause(1);
  await traffic.flows('traffic flows without the broker');
  brokers.resume(1);
  await allAreBack();
  await traffic.flows('traffic flows with the broker back');
  await traffic.stop();
});

async function allAreBack(): Promise<void> {
  const cluster = kafka.connection.openCluster('test');
  await until('all brokers are back', async () => (await cluster.refresh([])).brokers.length === 3, 120_000);
  cluster.close();
}

/** A member of a group of its own, and the broker that coordinates it. */
async function joinAlone(topic: string, sessionTimeoutMs: number, keepsInDoubt: boolean) {
  const assignments: Assignment[] = [];
  const lost: string[] = [];
  const doubts: string[] = [];
  const confirmed: Assignment[] = [];
  const groupId = `failover-${randomUUID()}`;
  const group = await joinControlGroup(kafka.connection, {
    groupId,
    topics: [topic],
    address: 'http://a',
    sessionTimeoutMs,
    heartbeatIntervalMs: 100,
    onAssigned: assignment => void assignments.push(assignment),
    onLost: reason => void lost.push(reason),
    ...(keepsInDoubt && { onDoubt: reason => void doubts.push(reason) }),
    onConfirmed: assignment => void confirmed.push(assignment),
  });
  await until('it is assigned', () => assignments.length === 1);
  const cluster = kafka.connection.openCluster('test');
  const link = await cluster.anyLink();
  const { coordinator } = await link.call(broker => broker.findGroupCoordinator({ groupId }));
  cluster.close();
  return { group, assignments, lost, doubts, confirmed, coordinatorId: coordinator.nodeId };
}

const beats = (group: ControlGroup): Promise<boolean> =>
  group.heartbeat().then(
    () => true,
    () => false,
  );

test('the group coordinator is killed: the member keeps its partitions and its generation', async () => {
  // A session that is longer than a failover takes.
  const { group, assignments, lost, coordinatorId } = await joinAlone(await replicatedTopic(4), 30_000, false);
  await brokers.kill(coordinatorId);
  await until('a heartbeat reaches the next coordinator', () => beats(group), 60_000);
  assert.equal(assignments.length, 1);
  assert.deepEqual(lost, []);
  await group.close();
  brokers.start(coordinatorId);
  await allAreBack();
});

test('the group coordinator is killed for longer than a session: who keeps in doubt is confirmed by the next one', async () => {
  const keeper = await joinAlone(await replicatedTopic(4), 3_000, true);
  await brokers.kill(keeper.coordinatorId);
  await until('it is in doubt', () => keeper.doubts.length > 0);
  await until('it is confirmed', () => keeper.confirmed.length > 0, 60_000);
  assert.deepEqual(keeper.confirmed, keeper.assignments);
  assert.deepEqual(keeper.lost, []);
  await keeper.group.close();
  brokers.start(keeper.coordinatorId);
  await allAreBack();
});

test('the group coordinator stands still for longer than a session: who keeps in doubt is told so, and nobody else', async () => {
  const topic = await replicatedTopic(4);
  const keeper = await joinAlone(topic, 2_000, true);
  const loser = await joinAlone(topic, 2_000, false);
  for (const id of new Set([keeper.coordinatorId, loser.coordinatorId])) brokers.pause(id);
  await until('one is in doubt, more than once, and the other has lost', () => {
    return keeper.doubts.length > 1 && loser.lost.length === 1;
  });
  assert.deepEqual(keeper.lost, []);
  assert.deepEqual(loser.doubts, []);
  for (const id of new Set([keeper.coordinatorId, loser.coordinatorId])) brokers.resume(id);
  await until('the group hears it again', () => beats(keeper.group), 60_000);
  await keeper.group.close();
  await loser.group.close();
  await allAreBack();
});

test('a broker that stands still does not hold up who asks for metadata', async () => {
  const cluster = kafka.connection.openCluster('test');
  await cluster.refresh([]);
  const { address } = await cluster.anyLink();
  const id = brokers.addresses.indexOf(address) + 1;
  assert.ok(id > 0, address);
  brokers.pause(id);
  const calls = Array.from({ length: 3 }, () => cluster.refresh([]));
  for (const answer of await Promise.all(calls)) assert.ok(answer.brokers.length > 0);
  assert.notEqual((await cluster.anyLink()).address, address);
  brokers.resume(id);
  cluster.close();
  await allAreBack();
});

test('without any broker the member is told in time that it lost; with them back it is assigned again', async () => {
  const topic = await replicatedTopic(2);
  const assignments: Assignment[] = [];
  const lost: string[] = [];
  const group = await joinControlGroup(kafka.connection, {
    groupId: `outage-${Date.now()}`,
    topics: [topic],
    address: 'http://a',
    sessionTimeoutMs: 2_000,
    heartbeatIntervalMs: 100,
    onAssigned: assignment => void assignments.push(assignment),
    onLost: reason => void lost.push(reason),
    onDoubt: () => assert.fail('nobody answers'),
  });
  await until('it is assigned', () => assignments.length === 1);
  for (const id of [1, 2, 3]) brokers.pause(id);
  await until('it is told', () => lost.length === 1);
  for (const id of [1, 2, 3]) brokers.resume(id);
  await until('it is assigned again', () => assignments.length > 1, 120_000);
  await group.heartbeat();
  await group.close();
});
