// starts first: sessions have to run out
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Redis } from 'ioredis';
import { describeAssignment, evictMember } from '../../../lib/kafka/index.ts';
import { ownerKey } from '../../../lib/ownership/registry.ts';
import { startScratchRedis } from '../../support/scratch-redis.ts';
import { until } from '../../support/until.ts';
import { agree, type Gateways, openGateways } from './gateways.ts';

const partitions = 6;

async function gateways(t: TestContext): Promise<Gateways & { redis: Awaited<ReturnType<typeof startScratchRedis>> }> {
  const redis = await startScratchRedis();
  const world = await openGateways(partitions, redis.url);
  t.after(async () => {
    await world.close();
    await redis.close();
  });
  return { ...world, redis };
}

test('the first gateway owns every partition, claimed in Redis, and routers know', async t => {
  const world = await gateways(t);
  const one = await world.gateway();
  const router = await world.router();
  assert.ok(one.ops.readiness.reasons().ownership === undefined || one.in('owned').length === 0);
  await until('they agree', () => agree(router, [one], partitions));
  assert.deepEqual(one.ops.readiness.reasons(), {});
  assert.equal(await one.metric('penstock_gateway_partitions_owned'), partitions);
  assert.equal(await one.metric('penstock_ownership_rebalances_total'), 1);
  assert.equal(await one.metric('penstock_ownership_unclaimed_partitions'), 0);
});

test('a gateway that joins takes its share; the old owner sees its clients off meanwhile', async t => {
  const world = await gateways(t);
  const one = await world.gateway({ handoverWindowMs: 1_000 });
  const router = await world.router();
  await until('the first owns all', () => agree(router, [one], partitions));
  const two = await world.gateway();
  await until('the second has its share', () => two.in('owned').length === partitions / 2);
  const moved = two.in('owned');
  await until('the first has heard of it', () => one.in('handing-over').length > 0);
  assert.deepEqual(one.in('handing-over'), moved);
  await until('its successors are visible to the first', () =>
    moved.every(partition => !one.ownership.admits(partition)),
  );
  assert.ok(one.in('owned').every(partition => one.ownership.admits(partition)));
  assert.ok(moved.every(partition => two.ownership.admits(partition)));
  for (const partition of moved.slice(1)) one.ownership.released(partition);
  assert.deepEqual(one.in('handing-over'), moved.slice(0, 1));
  await until('the window ends', () => one.in('handing-over').length === 0);
  await until('they agree', () => agree(router, [one, two], partitions));
  assert.deepEqual(
    two.transitions.filter(({ state }) => state !== 'claiming').map(({ state }) => state),
    moved.map(() => 'owned'),
  );
});

test('a gateway is ready when the clients of what it was given first had their time to come', async t => {
  const world = await gateways(t);
  const one = await world.gateway();
  await until('nobody had it before', () => one.in('owned').length === partitions);
  assert.equal(one.ops.readiness.reasons().ownership, undefined);
  const two = await world.gateway({ handoverWindowMs: 2_000 });
  await until('it owns its share', () => two.in('owned').length === partitions / 2);
  assert.match(String(two.ops.readiness.reasons().ownership), /on their way/);
  const owned = Date.now();
  await until('it is ready', () => two.ops.readiness.reasons().ownership === undefined);
  assert.ok(Date.now() - owned > 1_500, 'before the window was over');
  await world.gateway({ handoverWindowMs: 2_000 });
  await until('the third has a share', () => one.in('owned').length + two.in('owned').length < partitions);
  for (const { ops } of [one, two]) assert.equal(ops.readiness.reasons().ownership, undefined);
});

test('a gateway that leaves hands everything over before it stops, and keeps what it has until then', async t => {
  const world = await gateways(t);
  const [one, two] = [await world.gateway(), await world.gateway()];
  const router = await world.router();
  await until('both own', () => agree(router, [one, two], partitions));
  const leaving = two.in('owned');
  const left = two.ownership.leave();
  await until('the first owns all', () => one.in('owned').length === partitions);
  await left;
  assert.deepEqual(two.in('foreign').length, partitions);
  for (const partition of leaving) {
    const states = two.transitions.filter(one => one.partition === partition).map(({ state }) => state);
    assert.deepEqual(states.slice(-2), ['handing-over', 'foreign']);
  }
  await until('the router agrees', () => agree(router, [one], partitions));
});

test('the last gateway that leaves takes its name off', async t => {
  const world = await gateways(t);
  const one = await world.gateway();
  const router = await world.router();
  await until('it owns all', () => agree(router, [one], partitions));
  const waiting = router.table.waitForOwner(0, 30_000, router.table.owner(0));
  await one.close();
  await until('nobody is named', () => router.owners().size === 0);
  const two = await world.gateway();
  assert.equal((await waiting)?.address, two.address);
  await until('the next owns all', () => agree(router, [two], partitions));
});

test('who was put out of the group by mistake keeps its clients, and owns again when it is back', async t => {
  const world = await gateways(t);
  const one = await world.gateway({ handoverWindowMs: 2_000 });
  const router = await world.router();
  await until('it owns all', () => agree(router, [one], partitions));
  const memberId = router.table.owner(0)?.memberId ?? '';
  await evictMember(world.kafka.connection, world.group, memberId);
  await until('it owns all again', () => router.table.owner(0)?.epoch === 2 && agree(router, [one], partitions));
  assert.notEqual(router.table.owner(0)?.memberId, memberId);
  const states = one.transitions.filter(({ partition }) => partition === 0).map(({ state }) => state);
  assert.deepEqual(states, ['claiming', 'owned', 'handing-over', 'claiming', 'owned']);
});

test('a claim that is stale although the group confirms the member is written above what is stored', async t => {
  const world = await gateways(t);
  const redis = new Redis(world.redis.url);
  for (let partition = 0; partition < partitions; partition += 1) {
    const old = { epoch: 41, generation: 1_000, address: 'http://long-gone', memberId: 'm' };
    await redis.hset(ownerKey(world.group, partition), old);
  }
  redis.disconnect();
  const one = await world.gateway();
  const router = await world.router();
  await until('it owns all', () => agree(router, [one], partitions));
  assert.equal(router.table.owner(3)?.epoch, 42);
  assert.equal(await one.metric('penstock_replay_fenced_total'), partitions);
});

test('after a FLUSHALL the owners write themselves again, above their last epoch', async t => {
  const world = await gateways(t);
  const [one, two] = [await world.gateway(), await world.gateway()];
  const router = await world.router();
  await until('both own', () => agree(router, [one, two], partitions));
  const before = router.table.owner(0)?.epoch ?? 0;
  const redis = new Redis(world.redis.url);
  await redis.flushall();
  redis.disconnect();
  assert.ok(router.table.owner(0) !== undefined);
  await until(
    'they are written again',
    () => (router.table.owner(0)?.epoch ?? 0) > before && agree(router, [one, two], partitions),
  );
  assert.equal(
    one.transitions.some(({ state, cause }) => state === 'foreign' && cause !== 'window-ended'),
    false,
  );
});

test('without Redis the group alone decides, routers ask Kafka, and claims are written when Redis is back', async t => {
  const world = await gateways(t);
  const one = await world.gateway();
  const router = await world.router();
  await until('it owns all', () => agree(router, [one], partitions));
  const epoch = router.table.owner(0)?.epoch ?? 0;
  await world.redis.kill();
  await until('it is told', () => one.ops.readiness.reasons().redis === 'Redis is away');
  const two = await world.gateway();
  await until('they agree without Redis', () => two.in('owned').length === 3 && agree(router, [one, two], partitions));
  await until('it is counted', async () => (await two.metric('penstock_ownership_unclaimed_partitions')) === 3);
  const other = await world.router();
  await until('a new router finds them too', () => agree(other, [one, two], partitions));
  await world.redis.start();
  await until('all is claimed', async () => {
    const unclaimed = [one, two].map(gateway => gateway.metric('penstock_ownership_unclaimed_partitions'));
    return (await Promise.all(unclaimed)).every(count => count === 0) && agree(router, [one, two], partitions);
  });
  assert.ok((router.table.owner(one.in('owned')[0] ?? 0)?.epoch ?? 0) > epoch);
  assert.deepEqual(two.ops.readiness.reasons(), {});
});

test('Redis may be absent at start, and may hang', async t => {
  const redis = await startScratchRedis(false);
  const world = await openGateways(partitions, redis.url);
  t.after(async () => {
    redis.resume();
    await world.close();
    await redis.close();
  });
  const one = await world.gateway();
  const router = await world.router();
  await until('they agree without Redis', () => agree(router, [one], partitions));
  assert.equal(one.ops.readiness.reasons().redis, 'Redis is away');
  await redis.start();
  await until('it is claimed', () => (router.table.owner(0)?.epoch ?? 0) > 0 && agree(router, [one], partitions));
  redis.pause();
  await until('the hang is told', () => one.ops.readiness.reasons().redis === 'Redis has not answered for 1000 ms');
  const two = await world.gateway();
  await until(
    'they agree while Redis hangs',
    () => two.in('owned').length === 3 && agree(router, [one, two], partitions),
    30_000,
  );
  redis.resume();
  await until('the end of it is told', () => one.ops.readiness.reasons().redis === undefined);
  await until('all is claimed', async () => (await two.metric('penstock_ownership_unclaimed_partitions')) === 0);
  await until('they agree', () => agree(router, [one, two], partitions));
});

test('a waiter is told of the new owner, and of nobody when the time is over', async t => {
  const world = await gateways(t);
  const router = await world.router();
  assert.equal(await router.table.waitForOwner(0, 50), undefined);
  const waiting = router.table.waitForOwner(0, 30_000);
  const one = await world.gateway();
  assert.equal((await waiting)?.address, one.address);
  // The group may have named it before its claim was there, which then is news.
  const found = await until('its claim to be known', () => {
    const owner = router.table.owner(0);
    return owner !== undefined && owner.epoch > 0 ? owner : undefined;
  });
  assert.equal(found.address, one.address);
  assert.equal(await router.table.waitForOwner(0, 50, found), undefined);
});

test('what Kafka says of the group names the same owners', async t => {
  const world = await gateways(t);
  const one = await world.gateway();
  await until('it owns all', () => one.in('owned').length === partitions);
  const assignment = await describeAssignment(world.kafka.connection, world.group);
  assert.deepEqual(
    assignment?.members.map(({ address }) => address),
    [one.address],
  );
});
