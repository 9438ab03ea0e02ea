import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openOwnerRegistry } from '../../../lib/ownership/registry.ts';
import type { Owner } from '../../../lib/ownership/types.ts';
import { closeRedis, openRedis, type RedisClient } from '../../../lib/redis/index.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { type ScratchCluster, startScratchCluster } from '../../support/scratch-redis-group.ts';
import { until } from '../../support/until.ts';
import { openStreamsOnKafka, position, request, type StreamsOnKafka, take } from '../replay/streams-on-kafka.ts';

const ops = quietOps();
let cluster: ScratchCluster;
let client: RedisClient;
let world: StreamsOnKafka;
before(async () => {
  cluster = await startScratchCluster();
  client = openRedis({ url: cluster.url, tlsCaFile: undefined }, ops);
  world = openStreamsOnKafka();
  await until('the cluster is connected', () => client.status === 'ready');
});
after(async () => {
  closeRedis(client);
  await world.close();
  await cluster.close();
});

test('owners are claimed, read and told of, whichever node of a cluster has them', async () => {
  const registry = openOwnerRegistry(client, 'group', () => 12, ops.log);
  const heard = new Map<number, Owner>();
  let listening = false;
  const stop = registry.watch(
    (partition, owner) => heard.set(partition, owner),
    () => {
      listening = true;
    },
  );
  await until('the channel is listened to', () => listening);
  for (let partition = 0; partition < 12; partition += 1) {
    const claim = { partition, generation: 1, memberId: 'm', address: 'http://m', peer: '', knownEpoch: 0 };
    assert.deepEqual(await registry.claim({ ...claim, mode: 'gain' }), { answer: 'OK', epoch: 1, predecessor: '' });
  }
  assert.equal((await registry.load()).size, 12);
  await until('each claim is heard of', () => heard.size === 12);
  const sizes = await Promise.all(cluster.nodes.map(node => cluster.ask(node, 'DBSIZE')));
  assert.ok(
    sizes.every(size => Number(size) > 0),
    `keys on the nodes: ${sizes}`,
  );
  stop();
});

test('a replay buffer on a cluster answers, and goes on without the partitions of a node that is gone', async () => {
  const topic = await world.kafka.topic(12);
  const partitions = Array.from({ length: 12 }, (_, partition) => partition);
  const redis = { client, name: 'test' };
  const owner = world.replica({ ringBytes: 10_000_000 }, redis);
  const claim = { generation: 1, counter: 1, verify: async () => 'zombie' as const };
  for (const partition of partitions) owner.streams.keepBuffer(topic, partition, claim);
  const live = await owner.streams.open(request(topic, { partitions }));
  const write = () =>
    Promise.all(partitions.map(partition => world.write(topic, partition, [{ key: 'k' }, { key: 'k' }, { key: 'k' }])));
  const appended = () => owner.metric('penstock_replay_buffer_appended_total');
  await write();
  await take(live, 36);
  await until('all is appended', async () => (await appended()) === 36);

  const other = world.replica({}, redis);
  const resume = async (partition: number) => {
    const start = { kind: 'position', position: position(topic, [partition, 0]) } as const;
    const stream = await other.streams.open(request(topic, { partitions: [partition], key: 'k', start }));
    await take(stream, 2);
    stream.close();
  };
  for (const partition of partitions) await resume(partition);
  assert.equal(await other.metric('penstock_replay_resumed_total', { tier: 'redis' }), 12);

  await cluster.nodes[1]?.kill();
  await write();
  await take(live, 36);
  const degraded = () => owner.metric('penstock_replay_buffer_degraded_partitions');
  const lag = () => owner.metric('penstock_replay_buffer_lag_records');
  await until('some partitions are degraded', async () => (await degraded()) > 0);
  await until('the others are appended', async () => (await appended()) > 36);
  for (const partition of partitions) await resume(partition);
  assert.ok((await degraded()) < 12);
  await cluster.nodes[1]?.start();
  await until('all are kept again', async () => (await degraded()) === 0 && (await lag()) === 0);
});
