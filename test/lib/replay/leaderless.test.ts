// runs apart: three brokers of its own, one of which is killed
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PenstockError } from '../../../lib/errors.ts';
import type { RecordStream } from '../../../lib/replay/index.ts';
import { testKafka } from '../../support/dump.ts';
import { type ScratchBrokers, startScratchBrokers } from '../../support/scratch-brokers.ts';
import { until } from '../../support/until.ts';
import { openStreamsOnKafka, position, request, type StreamsOnKafka, take } from './streams-on-kafka.ts';

/** More of them than there are places for replays. */
const stuckPartitions = 8;
const concurrency = 4;
const records = 6;

let brokers: ScratchBrokers;
let world: StreamsOnKafka;
before(async () => {
  brokers = await startScratchBrokers(3);
  world = openStreamsOnKafka(brokers.addresses);
});
after(async () => {
  await world?.close();
  await brokers?.close();
});

/** One copy of everything: the partitions of `stuck` on a broker that is killed, those of `healthy` on another. */
async function topicsOn(name: string): Promise<{ stuck: string; healthy: string }> {
  const topics = { stuck: `stuck-${name}`, healthy: `healthy-${name}` };
  await until('all brokers are there', async () => (await metadata([])).brokers.length === 3, 60_000);
  const admin = testKafka(brokers.addresses).admin();
  await admin.connect();
  const on = (replica: number, partitions: number) =>
    Array.from({ length: partitions }, (_, partition) => ({ partition, replicas: [replica] }));
  const single = { configEntries: [{ name: 'min.insync.replicas', value: '1' }] };
  await admin.createTopics({
    waitForLeaders: false,
    topics: [
      { topic: topics.stuck, replicaAssignment: on(2, stuckPartitions), ...single },
      { topic: topics.healthy, replicaAssignment: on(1, 1), ...single },
    ],
  });
  await admin.disconnect();
  const all = [...Array(stuckPartitions).keys()];
  const lead = (topic: string, partitions: readonly number[]) =>
    until('there are leaders', () => world.kafka.topics.offsets(topic, partitions).catch(() => undefined), 30_000);
  await Promise.all([lead(topics.stuck, all), lead(topics.healthy, [0])]);
  const written = Array.from({ length: records }, () => ({ key: 'k', value: 'x'.repeat(1_000) }));
  await Promise.all([
    ...all.map(partition => world.write(topics.stuck, partition, written)),
    world.write(topics.healthy, 0, written),
  ]);
  return topics;
}

/** A stream with room for one record at a time, which has taken the first: all that follows is to be read from the log. */
async function halfRead(streams: ReturnType<StreamsOnKafka['replica']>['streams'], topic: string, partition: number) {
  const wish = { partitions: [partition], key: 'k', start: { kind: 'earliest' }, bufferBytes: 1_300 } as const;
  const stream = await streams.open(request(topic, wish));
  await take(stream, 1);
  return stream;
}

async function metadata(topics: readonly string[]) {
  const cluster = world.kafka.connection.openCluster('look');
  try {
    return await cluster.refresh(topics);
  } finally {
    cluster.close();
  }
}

const leaderIsGone = (topic: string) =>
  until(
    'the partitions have no leader',
    async () => (await metadata([topic])).topics[0]?.partitions.every(({ leader }) => leader < 0),
    60_000,
  );

test('replays that wait for a partition without a leader keep no place from others, and go on when it has one', async () => {
  const { stuck, healthy } = await topicsOn('wait');
  const { streams } = world.replica({ concurrency, stallTimeoutMs: 600_000 });
  const waiting: RecordStream[] = [];
  for (let partition = 0; partition < stuckPartitions; partition++) {
    waiting.push(await halfRead(streams, stuck, partition));
  }
  await brokers.kill(2);
  await leaderIsGone(stuck);
  const rest = waiting.map(stream => take(stream, records - 1));

  const start = { kind: 'position', position: position(healthy, [0, 0]) } as const;
  let replayed = 0;
  const other = await streams.open(request(healthy, { key: 'k', start }));
  void take(other, records - 1).then(({ length }) => (replayed = length));
  await until('the replay of the healthy partition is done', () => replayed === records - 1, 40_000);

  brokers.start(2);
  const taken = await Promise.all(rest);
  assert.deepEqual(new Set(taken.map(({ length }) => length)), new Set([records - 1]));
});

test('a replay of a partition that does not answer ends in time with UNAVAILABLE, which says for what it waited', async () => {
  const { stuck } = await topicsOn('end');
  const { streams } = world.replica({ stallTimeoutMs: 1_000 });
  const stream = await halfRead(streams, stuck, 3);
  await brokers.kill(2);
  await leaderIsGone(stuck);
  await assert.rejects(take(stream, records - 1), (error: unknown) => {
    assert.ok(error instanceof PenstockError && error.code === 'UNAVAILABLE', String(error));
    assert.match(error.message, new RegExp(`${stuck}/3`));
    return true;
  });
  brokers.start(2);
});
