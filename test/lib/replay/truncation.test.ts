// runs apart: three brokers of its own are killed, and the one that is behind is elected
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PenstockError } from '../../../lib/errors.ts';
import { checkCursor } from '../../../lib/replay/check-cursor.ts';
import { openCursorCodec } from '../../../lib/replay/cursor.ts';
import type { RecordStream, StreamPosition, StreamRecord } from '../../../lib/replay/index.ts';
import { type ScratchBrokers, startScratchBrokers } from '../../support/scratch-brokers.ts';
import { contentOf } from '../../support/scratch-kafka.ts';
import { type ScratchRedis, startScratchRedis } from '../../support/scratch-redis.ts';
import { openUncleanElections, type UncleanElections } from '../../support/unclean-election.ts';
import { until } from '../../support/until.ts';
import { type BufferedStreams, countOf, openBufferedStreams } from './buffer/buffered-streams.ts';
import { type Replica, request, take, valuesOf } from './streams-on-kafka.ts';

let brokers: ScratchBrokers;
let redis: ScratchRedis;
let world: BufferedStreams;
let elections: UncleanElections;
before(async () => {
  [brokers, redis] = await Promise.all([startScratchBrokers(3), startScratchRedis()]);
  world = await openBufferedStreams(redis.url, brokers.addresses);
  elections = await openUncleanElections(brokers);
});
after(async () => {
  await elections?.close();
  await world?.close();
  await redis?.close();
  await brokers?.close();
});

const codec = openCursorCodec(`k1:${Buffer.alloc(32, 1).toString('base64')}`);

/** What a client sends back of a position that it was given. */
function throughCursor(topic: string, userKey: string, position: StreamPosition): StreamPosition {
  const [binding, clusterId] = ['records', 'cluster'];
  const cursor = codec.format({ ...position, kind: 'stream', userKey, binding, clusterId });
  return checkCursor(codec.parse(cursor), { userKey, binding, topic, clusterId });
}

/** Numbered records of a user. */
const some = (key: string, name: string, count: number, sequence?: number) =>
  Array.from({ length: count }, (_, n) => ({
    key,
    value: `${key} ${name} ${n}`,
    ...(sequence !== undefined && { sequence: sequence + n }),
  }));

/** Takes until so many records have come, then goes on in the background until the stream ends with an error. */
function follow(stream: RecordStream) {
  const got: StreamRecord[] = [];
  let position = stream.watermark();
  const ended = (async (): Promise<StreamPosition> => {
    try {
      for (;;) {
        const records = await stream.next();
        if (records === undefined) return position;
        for (const record of records) {
          position = stream.advance(record);
          got.push(record);
        }
      }
    } catch (error) {
      assert.ok(error instanceof PenstockError && error.code === 'CURSOR_EXPIRED', String(error));
      return error.extensions.position as StreamPosition;
    }
  })();
  return { got, ended, position: () => position, values: () => valuesOf(got) };
}

async function inStep(owner: Replica, records: number): Promise<void> {
  await until(`${records} records are in Redis`, async () => {
    const counts = await Promise.all(['buffer_lag_records', 'buffer_appended_total'].map(name => countOf(owner, name)));
    return counts[0] === 0 && (counts[1] ?? 0) >= records;
  });
}

test('after an unclean election each stream has the log that survived, or is told that its position is gone', async () => {
  const [kept, left] = ['kept-by-its-owner', 'left-by-its-owner'] as const;
  for (const topic of [kept, left]) await elections.topic(topic);
  const deployment = world.deployment();
  const owner = world.owner(kept, { redis: deployment, generation: 1 });
  const former = world.owner(left, { redis: deployment, generation: 1 });
  for (const one of [owner, former]) {
    await until('there is a window', async () => (await countOf(one, 'buffer_windows_total')) === 1);
  }
  const own = (topic: string, key: string) => request(topic, { key });
  const alice = follow(await owner.streams.open(own(kept, 'alice')));
  const bobs = await owner.streams.open(own(kept, 'bob'));
  const bob = follow(bobs);
  const all = follow(await owner.streams.open(request(kept)));
  const quiet = await owner.streams.open(own(kept, 'nobody'));
  const heard: string[] = [];
  const endTap = await owner.streams.tap(kept, 0, ({ value }) => heard.push(`${value}`));
  const write = (records: Parameters<typeof world.write>[2]) =>
    Promise.all([kept, left].map(topic => world.write(topic, 0, records)));

  await write([...some('alice', 'kept', 5, 1), ...some('bob', 'kept', 5, 1)]);
  await until('what is kept has come', () => all.got.length === 10 && alice.got.length === 5);
  const early = throughCursor(kept, 'alice', alice.position());
  await elections.leaveBehind();
  await write(some('alice', 'lost', 5, 6));
  await until('what will be lost has come', () => all.got.length === 15 && alice.got.length === 10);
  const late = throughCursor(kept, 'alice', alice.position());
  const pinged = throughCursor(kept, 'nobody', quiet.watermark());
  for (const one of [owner, former]) await inStep(one, 15);
  former.streams.leaveBuffer(left, 0);
  await former.streams.close();

  await elections.elect();
  // The same sequences again: other events, of a producer that never knew of those that are gone.
  await write([...some('bob', 'other', 5, 6), ...some('alice', 'other', 10, 6)]);
  const survived = await contentOf(world.kafka.topics, { topic: kept, partition: 0 });
  assert.equal(survived.length, 25);
  const of = (key: string) => survived.filter(value => value.startsWith(key));

  // Those that live through it.
  const earliest = await alice.ended;
  assert.deepEqual(earliest.partitions, [{ topic: kept, partition: 0, offset: -1, timestampMs: -1 }]);
  assert.equal((await all.ended).partitions[0]?.offset, -1);
  await until('who was given nothing that is gone goes on', () => bob.got.length === 10);
  assert.deepEqual(bob.values(), of('bob'));
  await until('and who was given nothing at all', () => quiet.watermark().partitions[0]?.offset === 24);
  await until('the tap has heard what there is', () => survived.every(value => heard.includes(value)));
  endTap();

  // Those that come to the one that was there, and to one that has seen nothing.
  const fresh = world.replica({ ringBytes: 1_000_000 }, deployment);
  for (const { streams } of [owner, fresh]) {
    const resume = (key: string, position: StreamPosition) =>
      streams.open(request(kept, { key, start: { kind: 'position', position } }));
    for (const [key, position] of [
      ['alice', late],
      ['nobody', pinged],
    ] as const) {
      await assert.rejects(resume(key, position), { code: 'CURSOR_EXPIRED' });
    }
    const went = await resume('alice', early);
    assert.deepEqual(valuesOf(await take(went, 10)), of('alice').slice(5));
    const again = await resume('alice', throughCursor(kept, 'alice', earliest));
    assert.deepEqual(valuesOf(await take(again, 15)), of('alice'));
    const behind = throughCursor(kept, 'alice', again.watermark());
    (await resume('alice', behind)).close();
    for (const stream of [went, again]) stream.close();
  }
  await until('the owner has begun its window anew', async () => (await countOf(owner, 'buffer_windows_total')) === 2);

  // A window whose owner is gone says nothing of the log that is there now, and whoever follows begins another.
  const { topicMarks: _, ...unmarked } = early;
  const elsewhere = {
    ...unmarked,
    partitions: early.partitions.map(item => ({ ...item, topic: left, timestampMs: -1 })),
    sequences: { [left]: 5 },
  };
  const reader = world.replica({}, deployment);
  const fromWindow = await reader.streams.open(
    request(left, { key: 'alice', start: { kind: 'position', position: elsewhere } }),
  );
  const leftLog = await contentOf(world.kafka.topics, { topic: left, partition: 0 });
  assert.deepEqual(valuesOf(await take(fromWindow, 10)), leftLog.filter(value => value.startsWith('alice')).slice(5));
  const successor = world.owner(left, { redis: deployment, generation: 2 });
  await until('it has begun a window', async () => (await countOf(successor, 'buffer_windows_total')) === 1);
});
