import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';

import { type Claim, openOwnerRegistry, ownerKey } from '../../../lib/ownership/registry.ts';
import type { Owner } from '../../../lib/ownership/types.ts';
import { closeRedis, openRedis, type RedisClient } from '../../../lib/redis/index.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { until } from '../../support/until.ts';

const group = `test-${randomBytes(6).toString('hex')}`;
const ops = quietOps();
let redis: RedisClient;
before(async () => {
  const url = process.env.TEST_REDIS;
  if (url === undefined) throw new Error('TEST_REDIS (url) is not set');
  redis = openRedis({ url, tlsCaFile: undefined }, ops);
  await until('Redis is connected', () => redis.status === 'ready');
});
after(async () => {
  await redis.del(...Array.from({ length: 40 }, (_, partition) => ownerKey(group, partition)));
  closeRedis(redis);
});

let nextPartition = 0;
/** A partition that nobody has claimed yet, and who claims it. */
function fresh() {
  const registry = openOwnerRegistry(redis, group, () => 40, ops.log);
  const partition = nextPartition++;
  const claim = (memberId: string, generation: number, more: Partial<Claim> = {}) =>
    registry.claim({
      peer: '',
      partition,
      generation,
      memberId,
      address: `http://${memberId}`,
      knownEpoch: 0,
      mode: 'gain',
      ...more,
    });
  const stored = async () => (await registry.load()).get(partition);
  return { registry, partition, claim, stored };
}

const ok = (epoch: number, predecessor = '') => ({ answer: 'OK', epoch, predecessor });
const owner = (memberId: string, epoch: number, generation: number): Owner => ({
  address: `http://${memberId}`,
  epoch,
  generation,
  memberId,
  peer: '',
});

test('each new owner raises the epoch; the same claim again does not', async () => {
  const { claim, stored } = fresh();
  assert.equal(await stored(), undefined);
  assert.deepEqual(await claim('a', 1), ok(1));
  assert.deepEqual(await claim('a', 1), ok(1));
  assert.deepEqual(await claim('b', 2), ok(2, 'http://a'));
  assert.deepEqual(await claim('a', 3), ok(3, 'http://b'));
  assert.deepEqual(await stored(), owner('a', 3, 3));
});

test('a claim of an older generation is stale and changes nothing', async () => {
  const { claim, stored } = fresh();
  await claim('a', 5);
  assert.deepEqual(await claim('b', 4), { answer: 'STALE', holder: owner('a', 1, 5) });
  assert.deepEqual(await stored(), owner('a', 1, 5));
});

test('the same generation under another member is stale: two lives of one group', async () => {
  const { claim } = fresh();
  await claim('a', 5);
  assert.deepEqual(await claim('b', 5), { answer: 'STALE', holder: owner('a', 1, 5) });
});

test('a member that the group confirms claims above whatever is stored', async () => {
  const { claim, stored } = fresh();
  await claim('a', 99);
  assert.deepEqual(await claim('b', 1, { mode: 'force' }), ok(2, 'http://a'));
  assert.deepEqual(await stored(), owner('b', 2, 1));
});

test('an owner that keeps its partition writes it again after everything was lost, above its last epoch', async () => {
  const { claim, partition, stored } = fresh();
  await claim('a', 3);
  await claim('b', 4);
  await redis.del(ownerKey(group, partition));
  assert.deepEqual(await claim('b', 4, { mode: 'keep', knownEpoch: 2 }), ok(3));
  assert.deepEqual(await stored(), owner('b', 3, 4));
});

test('an owner that keeps its partition overwrites an older entry, and yields to a newer one', async () => {
  const { claim, stored } = fresh();
  await claim('a', 9);
  assert.deepEqual(await claim('b', 4, { mode: 'keep', knownEpoch: 6 }), ok(7, 'http://a'));
  assert.deepEqual(await claim('a', 9, { mode: 'keep', knownEpoch: 1 }), { answer: 'STALE', holder: owner('b', 7, 4) });
  assert.deepEqual(await stored(), owner('b', 7, 4));
});

test('an owner that comes to another peer port is written again', async () => {
  const { claim, stored } = fresh();
  await claim('a', 1, { peer: '10.0.0.1:8082' });
  assert.deepEqual(await claim('a', 1, { peer: '10.0.0.1:8082' }), ok(1));
  assert.deepEqual(await claim('a', 1, { peer: '10.0.0.1:9000' }), ok(2));
  assert.equal((await stored())?.peer, '10.0.0.1:9000');
});

test('a release takes the name off, keeps the epoch, and is only for who is named', async () => {
  const { registry, partition, claim, stored } = fresh();
  await claim('a', 1);
  await claim('b', 2);
  assert.equal(await registry.release(partition, 'a'), false);
  assert.equal(await registry.release(partition, 'b'), true);
  assert.equal(await registry.release(partition, 'b'), false);
  assert.deepEqual(await stored(), { ...owner('b', 2, 2), address: '' });
  assert.deepEqual(await claim('c', 2), ok(3));
});

test('who watches is told of each claim and release', async () => {
  const { registry, partition, claim } = fresh();
  const told: [number, Owner][] = [];
  let listening = false;
  const stop = registry.watch(
    (changed, of) => told.push([changed, of]),
    () => {
      listening = true;
    },
  );
  await until('it listens', () => listening);
  await claim('a', 1);
  await claim('b', 2);
  await claim('a', 1);
  await registry.release(partition, 'b');
  await until('it was told', () => told.length === 3);
  assert.deepEqual(told, [
    [partition, owner('a', 1, 1)],
    [partition, owner('b', 2, 2)],
    [partition, { ...owner('b', 2, 2), address: '' }],
  ]);
  stop();
});
