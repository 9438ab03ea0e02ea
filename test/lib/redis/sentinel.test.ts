import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openOwnerRegistry } from '../../../lib/ownership/registry.ts';
import { closeRedis, openRedis, type RedisClient } from '../../../lib/redis/index.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { type ScratchSentinel, startScratchSentinel } from '../../support/scratch-redis-group.ts';
import { until } from '../../support/until.ts';
import { openStreamsOnKafka, position, request, type StreamsOnKafka, take } from '../replay/streams-on-kafka.ts';

const ops = quietOps();
let group: ScratchSentinel;
let client: RedisClient;
let world: StreamsOnKafka;
before(async () => {
  group = await startScratchSentinel();
  client = openRedis({ url: group.url, tlsCaFile: undefined }, ops);
  world = openStreamsOnKafka();
  await until('the master is connected', () => client.status === 'ready');
});
after(async () => {
  closeRedis(client);
  await world.close();
  await group.close();
});

test('when sentinels promote a replica, claims and the replay buffer go on there, and no record is missed', async () => {
  const topic = await world.kafka.topic(1);
  const redis = { client, name: 'test' };
  const owner = world.replica({ ringBytes: 10_000_000 }, redis);
  owner.streams.keepBuffer(topic, 0, { generation: 1, counter: 1, verify: async () => 'member' });
  const live = await owner.streams.open(request(topic));
  const registry = openOwnerRegistry(client, 'group', () => 1, ops.log);
  const claim = (generation: number) =>
    registry.claim({
      ...{ partition: 0, generation, memberId: 'm', address: 'http://m', peer: '', knownEpoch: 0, mode: 'gain' },
    });
  assert.deepEqual(await claim(1), { answer: 'OK', epoch: 1, predecessor: '' });
  await world.write(topic, 0, [{ key: 'k' }, { key: 'k' }, { key: 'k' }]);
  await take(live, 3);
  const caughtUp = async () =>
    (await owner.metric('penstock_replay_buffer_lag_records')) === 0 &&
    (await owner.metric('penstock_replay_buffer_degraded_partitions')) === 0;
  await until('the buffer is in step', caughtUp);
  await until('the replica has it', async () => `${await group.ask(group.replica, 'DBSIZE')}` !== '0');

  await group.master.kill();
  await world.write(topic, 0, [{ key: 'k' }, { key: 'k' }]);
  assert.equal((await take(live, 2)).length, 2);
  await until('the replica is the master', async () =>
    `${await group.ask(group.replica, 'INFO', 'replication')}`.includes('role:master'),
  );
  await until('it is connected', () => client.status === 'ready', 30_000);
  await until('a claim is written there', () => claim(2).catch(() => undefined));
  await until('the buffer is in step again', caughtUp, 30_000);

  const other = world.replica({}, redis);
  const start = { kind: 'position', position: position(topic, [0, 2]) } as const;
  const stream = await other.streams.open(request(topic, { key: 'k', start }));
  assert.equal((await take(stream, 2)).length, 2);
  await until(
    'it is counted',
    async () => (await other.metric('penstock_replay_resumed_total', { tier: 'redis' })) === 1,
  );
});
