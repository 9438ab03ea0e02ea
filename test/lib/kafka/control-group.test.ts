import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import {
  type Assignment,
  type ControlGroup,
  describeAssignment,
  evictMember,
  FencedMemberError,
  joinControlGroup,
} from '../../../lib/kafka/index.ts';
import { openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

let kafka: ScratchKafka;
let members: Member[] = [];
before(() => {
  kafka = openScratchKafka();
});
afterEach(async () => {
  await Promise.all(members.map(({ group }) => group.close()));
  members = [];
});
after(() => kafka.close());

interface Member {
  name: string;
  group: ControlGroup;
  assignments: Assignment[];
  lost: string[];
  latest(): Assignment | undefined;
}

async function join(
  name: string,
  groupId: string,
  topics: readonly string[],
  sessionTimeoutMs = 6_000,
): Promise<Member> {
  const assignments: Assignment[] = [];
  const lost: string[] = [];
  const group = await joinControlGroup(kafka.connection, {
    groupId,
    topics,
    address: `http://${name}`,
    sessionTimeoutMs,
    heartbeatIntervalMs: 50,
    onAssigned: assignment => void assignments.push(assignment),
    onLost: reason => void lost.push(reason),
  });
  const member = { name, group, assignments, lost, latest: () => assignments.at(-1) };
  members.push(member);
  return member;
}

/** All of one generation, with all partitions among them. */
async function settled(who: readonly Member[], partitions: number): Promise<Map<Member, readonly number[]>> {
  return until(`${who.map(({ name }) => name)} settle`, () => {
    const all = who.map(member => member.latest());
    if (new Set(all.map(one => one?.generation)).size !== 1) return undefined;
    const owned = all.flatMap(one => one?.partitions ?? []);
    if (owned.length !== partitions || new Set(owned).size !== partitions) return undefined;
    return new Map(who.map(member => [member, member.latest()?.partitions ?? []]));
  });
}

test('members join and leave: partitions are balanced, and those that need not move stay', async () => {
  const topics = [await kafka.topic(24), await kafka.topic(24)];
  const groupId = kafka.group();
  const a = await join('a', groupId, topics);
  const alone = await settled([a], 24);
  assert.equal(alone.get(a)?.length, 24);

  const b = await join('b', groupId, topics);
  const two = await settled([a, b], 24);
  assert.deepEqual([two.get(a)?.length, two.get(b)?.length], [12, 12]);

  const c = await join('c', groupId, topics);
  const three = await settled([a, b, c], 24);
  assert.deepEqual([three.get(a)?.length, three.get(b)?.length, three.get(c)?.length], [8, 8, 8]);
  for (const member of [a, b]) {
    for (const partition of three.get(member) ?? []) assert.ok(two.get(member)?.includes(partition));
  }

  await b.group.close();
  const rest = await settled([a, c], 24);
  for (const member of [a, c]) {
    for (const partition of three.get(member) ?? []) assert.ok(rest.get(member)?.includes(partition));
  }
  assert.deepEqual([a.lost, b.lost, c.lost], [[], [], []]);
});

test('every member is told who owns what, and the group can be described from outside', async () => {
  const topics = [await kafka.topic(6)];
  const groupId = kafka.group();
  assert.equal(await describeAssignment(kafka.connection, groupId), undefined);
  const a = await join('a', groupId, topics);
  await settled([a], 6);
  const b = await join('b', groupId, topics);
  const owned = await settled([a, b], 6);
  for (const member of [a, b]) {
    assert.deepEqual(member.latest()?.routing, { 'http://a': owned.get(a), 'http://b': owned.get(b) });
  }
  const described = await until('the group is stable', async () => {
    const group = await describeAssignment(kafka.connection, groupId);
    return group?.generation === undefined ? undefined : group;
  });
  assert.equal(described.generation, a.latest()?.generation);
  assert.deepEqual(
    described.members.sort((x, y) => (x.address < y.address ? -1 : 1)),
    [a, b].map(member => ({
      memberId: member.latest()?.memberId,
      address: `http://${member.name}`,
      peer: '',
      partitions: owned.get(member),
    })),
  );
});

test('the partition count is the largest among the topics', async () => {
  const topics = [await kafka.topic(2), await kafka.topic(5)];
  const a = await join('a', kafka.group(), topics);
  assert.deepEqual((await settled([a], 5)).get(a), [0, 1, 2, 3, 4]);
});

test('a member that is evicted finds its heartbeat refused, is told that it lost, and joins again', async () => {
  const topics = [await kafka.topic(4)];
  const groupId = kafka.group();
  const a = await join('a', groupId, topics);
  await settled([a], 4);
  await a.group.heartbeat();
  const { memberId = '', generation = 0 } = a.latest() ?? {};
  await evictMember(kafka.connection, groupId, memberId);
  await assert.rejects(a.group.heartbeat(), FencedMemberError);
  await until('it has joined again', () => (a.latest()?.memberId ?? memberId) !== memberId);
  assert.equal(a.lost.length, 1);
  assert.deepEqual(a.latest()?.partitions, [0, 1, 2, 3]);
  assert.ok((a.latest()?.generation ?? 0) !== generation);
  await a.group.heartbeat();
  await evictMember(kafka.connection, groupId, memberId); // not there any more: no error
});

test('a member that is evicted comes back to a balanced group', async () => {
  const topics = [await kafka.topic(8)];
  const groupId = kafka.group();
  const a = await join('a', groupId, topics);
  await settled([a], 8);
  const b = await join('b', groupId, topics);
  await settled([a, b], 8);
  await evictMember(kafka.connection, groupId, b.latest()?.memberId ?? '');
  await until('b has lost', () => b.lost.length > 0);
  const back = await settled([a, b], 8);
  assert.deepEqual([back.get(a)?.length, back.get(b)?.length], [4, 4]);
  assert.deepEqual(a.lost, []);
});

test('a member that closes while it joins does not keep the others waiting', async () => {
  const topics = [await kafka.topic(4)];
  const groupId = kafka.group();
  const sessionTimeoutMs = 120_000;
  const a = await join('a', groupId, topics, sessionTimeoutMs);
  await settled([a], 4);
  const fleeting = await Promise.all(['b', 'c', 'd'].map(name => join(name, groupId, topics, sessionTimeoutMs)));
  await Promise.all(fleeting.map(({ group }) => group.close()));
  await settled([a], 4);
  const e = await join('e', groupId, topics, sessionTimeoutMs);
  await settled([a, e], 4);
});

test('a commit of the current generation is taken and read back with its topic’s id, one of a member that is out is refused', async () => {
  const topic = await kafka.topic(2);
  const groupId = kafka.group();
  const a = await join('a', groupId, [topic]);
  await settled([a], 2);
  await a.group.commit([
    { topic, partition: 0, offset: 3 },
    { topic, partition: 1, offset: 4, topicId: 'an id' },
  ]);
  assert.deepEqual(await a.group.committed([0, 1].map(partition => ({ topic, partition }))), [
    { topic, partition: 0, offset: 3, topicId: undefined },
    { topic, partition: 1, offset: 4, topicId: 'an id' },
  ]);
  assert.deepEqual(await a.group.committed([{ topic: 'none', partition: 0 }]), []);
  await evictMember(kafka.connection, groupId, a.latest()?.memberId ?? '');
  await assert.rejects(a.group.commit([{ topic, partition: 0, offset: 9 }]), FencedMemberError);
});

test('close leaves at once: the others get its partitions long before its session would end', async () => {
  const topics = [await kafka.topic(4)];
  const groupId = kafka.group();
  const sessionTimeoutMs = 120_000; // far beyond the time that `settled` waits
  const a = await join('a', groupId, topics, sessionTimeoutMs);
  await settled([a], 4);
  const b = await join('b', groupId, topics, sessionTimeoutMs);
  await settled([a, b], 4);
  await a.group.close();
  await a.group.close();
  await settled([b], 4);
  await assert.rejects(a.group.heartbeat(), FencedMemberError);
  assert.deepEqual(a.lost, []);
});

test('without Kafka a member keeps trying, and closes all the same', async () => {
  const away = openScratchKafka(['127.0.0.1:1']);
  const group = await joinControlGroup(away.connection, {
    groupId: 'g',
    topics: ['t'],
    address: 'http://a',
    sessionTimeoutMs: 6_000,
    heartbeatIntervalMs: 50,
    onAssigned: () => assert.fail('nobody can have assigned anything'),
    onLost: () => assert.fail('there is nothing to lose'),
  });
  await assert.rejects(group.heartbeat(), FencedMemberError);
  await group.close();
  await away.connection.close();
});
