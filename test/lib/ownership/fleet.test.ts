import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { planSticky } from '../../../lib/kafka/index.ts';
import { transition } from '../../../lib/ownership/tenure.ts';
import { registryRules } from './fleet/registry.ts';
import { type FleetRules, mayResolve, World } from './fleet/world.ts';

type Step =
  | { step: 'deliver' | 'beat' | 'act' | 'depart' | 'compare' | 'poll'; which: number; count: number }
  | { step: 'pass'; ms: number }
  | { step: 'start'; reuse: boolean }
  | { step: 'kill' | 'leave' | 'evict' | 'pause' | 'resume' | 'cut' | 'mend' | 'lose-contact' | 'doubt'; which: number }
  | { step: 'lose-news'; which: number }
  | { step: 'redis'; how: 'away' | 'hangs' | 'up' }
  | { step: 'flush' }
  | { step: 'forget' };

interface Schedule {
  partitions: number;
  gateways: number;
  routers: number;
  steps: readonly Step[];
}

const nat = (max: number) => fc.nat({ max });
const common = (step: 'deliver' | 'beat' | 'act' | 'depart' | 'compare' | 'poll', weight: number, most: number) => ({
  weight,
  arbitrary: fc.record({ step: fc.constant(step), which: nat(30), count: fc.integer({ min: 1, max: most }) }),
});
const rare = (step: (Step & { which: number })['step'], weight: number) => ({
  weight,
  arbitrary: fc.record({ step: fc.constant(step), which: nat(10) }) as fc.Arbitrary<Step>,
});
const steps: fc.Arbitrary<Step> = fc.oneof(
  common('deliver', 24, 8),
  common('beat', 12, 3),
  common('act', 6, 4),
  common('depart', 3, 2),
  common('compare', 2, 1),
  common('poll', 2, 1),
  { weight: 3, arbitrary: fc.record({ step: fc.constant('pass' as const), ms: fc.constantFrom(10, 300, 1_100) }) },
  { weight: 2, arbitrary: fc.record({ step: fc.constant('start' as const), reuse: fc.boolean() }) },
  rare('kill', 1),
  rare('leave', 1),
  rare('evict', 2),
  rare('pause', 1),
  rare('resume', 2),
  rare('cut', 1),
  rare('mend', 2),
  rare('lose-contact', 1),
  rare('doubt', 2),
  rare('lose-news', 1),
  { weight: 1, arbitrary: fc.record({ step: fc.constant('redis' as const), how: fc.constantFrom('away', 'hangs') }) },
  { weight: 2, arbitrary: fc.constant<Step>({ step: 'redis', how: 'up' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ step: 'flush' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ step: 'forget' }) },
);
const schedules: fc.Arbitrary<Schedule> = fc.record({
  partitions: fc.integer({ min: 1, max: 4 }),
  gateways: fc.integer({ min: 1, max: 3 }),
  routers: fc.integer({ min: 1, max: 2 }),
  steps: fc.array(steps, { maxLength: 80, size: 'max' }),
});

/** Every promise goes on that can without another message. */
const flush = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

const mostGateways = 5;

async function take(world: World, item: Step): Promise<void> {
  const gateway = 'which' in item ? world.gateway(item.which) : undefined;
  switch (item.step) {
    case 'deliver':
      for (let count = 0; count < item.count; count += 1) {
        const wire = world.wires.deliver(item.which + count * 7, world.blocked);
        if (wire !== undefined && mayResolve(wire)) await flush();
      }
      return;
    case 'beat':
      for (let count = 0; count < item.count; count += 1) world.gateway(item.which + count)?.beat();
      return;
    case 'act':
      for (let count = 0; count < item.count; count += 1) world.act(item.which + count);
      return;
    case 'depart':
      for (let count = 0; count < item.count; count += 1) world.depart(item.which + count);
      return;
    case 'compare':
      if (gateway !== undefined) world.compare(gateway);
      return;
    case 'poll':
      return world.poll(item.which);
    case 'pass':
      return world.time.pass(item.ms);
    case 'start':
      if (world.gateways.length < mostGateways) world.start(item.reuse);
      return;
    case 'kill':
      if (gateway !== undefined) world.kill(gateway);
      return;
    case 'leave':
      return gateway?.leave();
    case 'evict':
      return world.evict(item.which);
    case 'pause':
    case 'resume':
      if (gateway !== undefined) gateway.paused = item.step === 'pause';
      return;
    case 'cut':
    case 'mend':
      if (gateway !== undefined) gateway.cutOff = item.step === 'cut';
      return;
    case 'lose-contact':
      return gateway?.loseContact();
    case 'doubt':
      return gateway?.doubt();
    case 'lose-news':
      return world.wires.lose(item.which, 'news');
    case 'redis':
      if (item.how === 'up') world.redis = 'up';
      else world.breakRedis(item.how);
      return;
    case 'flush':
      return world.flush();
    case 'forget':
      return world.group.forget();
  }
}

const rules: FleetRules = { transition, plan: planSticky, registry: registryRules };

/** @returns what went wrong. */
async function play(schedule: Schedule, mutant: Partial<FleetRules> = {}): Promise<readonly string[]> {
  const world = new World(schedule.partitions, schedule.routers, { ...rules, ...mutant });
  for (let count = 0; count < schedule.gateways; count += 1) world.start(false);
  for (const item of schedule.steps) {
    await take(world, item);
    world.check();
  }
  await world.calm(flush);
  return world.problems;
}

const runs = Number(process.env.TEST_SCHEDULES ?? 1_500);

test('whoever dies, stalls, comes and goes: one owner an epoch, in the end one owner each, and nobody is sent away in vain', async () => {
  await fc.assert(
    fc.asyncProperty(schedules, async schedule => {
      assert.deepEqual(await play(schedule), []);
    }),
    { numRuns: runs },
  );
});

test('a gateway that the group does not answer keeps what is its own, until somebody else has claimed it', async () => {
  const world = new World(2, 1, rules);
  world.start(false);
  world.start(false);
  await world.calm(flush);
  const [gateway, other] = world.gateways;
  assert.ok(gateway !== undefined && other !== undefined);
  const delivered = async () => {
    await flush();
    while (world.wires.deliver(0, world.blocked) !== undefined) await flush();
  };
  const [partition] = gateway.holdings.in('owned');
  gateway.cutOff = true;
  gateway.doubt();
  await delivered();
  assert.deepEqual(gateway.holdings.in('owned'), [partition]);

  world.handOut(world.group.remove(gateway.memberId));
  for (let count = 0; count < 3; count += 1) {
    other.beat();
    await delivered();
  }
  assert.deepEqual(gateway.holdings.in('owned'), [partition]);
  gateway.doubt();
  assert.deepEqual(gateway.holdings.in('handing-over'), [partition]);
  await world.calm(flush);
  assert.deepEqual(world.problems, []);
});

test('a gateway in doubt takes no older claim for its successor, whatever its epoch', async () => {
  const step = (name: 'beat' | 'deliver' | 'compare', which: number, count: number): Step => ({
    step: name,
    which,
    count,
  });
  // Redis was away when the second gateway was given the partition, which it owns by its generation alone.
  const steps: Step[] = [
    ...[step('beat', 0, 1), step('deliver', 0, 7)],
    ...([
      { step: 'start', reuse: false },
      { step: 'leave', which: 0 },
      { step: 'redis', how: 'away' },
    ] satisfies Step[]),
    ...[step('beat', 0, 2), step('deliver', 0, 11)],
    ...([
      { step: 'cut', which: 3 },
      { step: 'redis', how: 'up' },
    ] satisfies Step[]),
    ...[step('compare', 3, 1), step('deliver', 0, 2)],
    { step: 'doubt', which: 1 },
  ];
  const world = new World(1, 1, rules);
  world.start(false);
  for (const item of steps) await take(world, item);
  assert.deepEqual(world.gateway(1)?.holdings.in('owned'), [0]);
  await world.calm(flush);
  assert.deepEqual(world.problems, []);
});

const mutants: Readonly<Record<string, Partial<FleetRules>>> = {
  'forgets the clients of a partition that goes while it is being claimed': {
    transition(tenure, event) {
      if (tenure.state !== 'claiming' || event.event !== 'unassigned') return transition(tenure, event);
      return [{ state: 'foreign' }, ['release']];
    },
  },
  'lets the window run on when the partition comes back': {
    transition(tenure, event) {
      if (tenure.state !== 'handing-over' || event.event !== 'assigned') return transition(tenure, event);
      return [tenure, []];
    },
  },
  'gives a partition away twice': {
    plan(partitionCount, members) {
      const plan = planSticky(partitionCount, members);
      for (const partitions of plan.values()) if (!partitions.includes(0)) partitions.push(0);
      return plan;
    },
  },
  'leaves a partition out when there are several members': {
    plan(partitionCount, members) {
      const plan = planSticky(partitionCount, members);
      if (members.length < 2) return plan;
      return new Map([...plan].map(([id, partitions]) => [id, partitions.filter(partition => partition !== 0)]));
    },
  },
  'does not raise the epoch': { registry: { ...registryRules, nextEpoch: stored => stored?.epoch ?? 1 } },
  'takes the claim of an older generation': { registry: { ...registryRules, isStale: () => false } },
  'refuses every claim but the first': {
    registry: { ...registryRules, isStale: stored => stored.address !== '' },
  },
};
for (const [name, mutant] of Object.entries(mutants)) {
  test(`a fleet that ${name} is found out`, async () => {
    const found = await fc.check(
      fc.asyncProperty(schedules, async schedule => {
        assert.deepEqual(await play(schedule, mutant), []);
      }),
      { numRuns: Math.max(runs, 3_000), seed: 1, endOnFailure: true },
    );
    assert.ok(found.failed, `survived ${found.numRuns} schedules`);
  });
}
