import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Claimant, planSticky } from '../../../lib/kafka/index.ts';

/** Members with claims that may overlap, be out of range or be nonsense. */
const claimants = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 }).chain(ids =>
  fc.tuple(
    ...ids.map(memberId =>
      fc.record({
        memberId: fc.constant(memberId),
        owned: fc.array(fc.integer({ min: -2, max: 40 }), { maxLength: 20 }),
        generation: fc.integer({ min: -1, max: 5 }),
      }),
    ),
  ),
);
const partitionCount = fc.integer({ min: 0, max: 36 });

const sizes = (plan: Map<string, number[]>) => [...plan.values()].map(({ length }) => length);

const comings = fc.record({ leaves: fc.nat(), joins: fc.nat({ max: 2 }) });
const runs = { numRuns: Number(process.env.TEST_SCHEDULES ?? 1_000) };

/** Fewest moves that any balanced plan needs: each member keeps at most its quota, and only so many quotas are larger. */
function fewestMoves(count: number, held: readonly number[]): number {
  const floor = Math.floor(count / held.length);
  let extras = count % held.length;
  let kept = 0;
  for (const size of [...held].sort((a, b) => b - a)) {
    const quota = floor + (extras > 0 ? 1 : 0);
    if (extras > 0) extras--;
    kept += Math.min(size, quota);
  }
  return held.reduce((sum, size) => sum + size, 0) - kept;
}

type Plan = typeof planSticky;

/** What holds of every plan. */
const promises: Readonly<Record<string, (plan: Plan) => fc.IProperty<never>>> = {
  'every partition is given exactly once, and members differ by one at most': plan =>
    fc.property(partitionCount, claimants, (count, members) => {
      const shares = plan(count, members);
      assert.deepEqual(
        [...shares.values()].flat().sort((a, b) => a - b),
        Array.from({ length: count }, (_, i) => i),
      );
      assert.deepEqual([...shares.keys()].sort(), members.map(({ memberId }) => memberId).sort());
      assert.ok(Math.max(...sizes(shares)) - Math.min(...sizes(shares)) <= 1);
    }) as unknown as fc.IProperty<never>,
  'the plan does not depend on the order in which members are listed': plan =>
    fc.property(partitionCount, claimants, fc.infiniteStream(fc.nat()), (count, members, noise) => {
      const shuffled = members
        .map(member => ({ member, at: noise.next().value }))
        .sort((a, b) => a.at - b.at)
        .map(({ member }) => member);
      assert.deepEqual(Object.fromEntries(plan(count, shuffled)), Object.fromEntries(plan(count, members)));
    }) as unknown as fc.IProperty<never>,
  'after members come and go, no more partitions move than balance demands': plan =>
    fc.property(fc.integer({ min: 1, max: 36 }), fc.array(comings, { minLength: 1, maxLength: 8 }), (count, steps) => {
      let generation = 1;
      let names = 2;
      let shares = plan(count, [
        { memberId: 'm0', owned: [], generation: -1 },
        { memberId: 'm1', owned: [], generation: -1 },
      ]);
      for (const { leaves, joins } of steps) {
        const members: Claimant[] = [...shares].map(([memberId, owned]) => ({ memberId, owned, generation }));
        if (members.length > 1) members.splice(leaves % members.length, 1);
        for (let i = 0; i < joins; i++) members.push({ memberId: `m${names++}`, owned: [], generation: -1 });
        const next = plan(count, members);
        const moved = members.flatMap(({ memberId, owned }) => owned.filter(p => !next.get(memberId)?.includes(p)));
        assert.equal(
          moved.length,
          fewestMoves(
            count,
            members.map(({ owned }) => owned.length),
          ),
        );
        shares = next;
        generation++;
      }
    }) as unknown as fc.IProperty<never>,
};
for (const [promise, of] of Object.entries(promises)) test(promise, () => fc.assert(of(planSticky), runs));

const mutants: Readonly<Record<string, Plan>> = {
  'deals anew each time': (count, members) =>
    planSticky(
      count,
      members.map(member => ({ ...member, owned: [] })),
    ),
  'trusts the order of its members': (count, members) =>
    planSticky(
      count,
      members.map((member, index) => ({ ...member, owned: index === 0 ? member.owned : [] })),
    ),
  'forgets the last partition': (count, members) => planSticky(Math.max(0, count - 1), members),
  'lets who has more keep it': (count, members) => {
    const shares = planSticky(count, members);
    const [first, second] = [...shares.values()];
    const spare = second?.pop();
    if (spare !== undefined) first?.push(spare);
    return shares;
  },
};
for (const [name, mutant] of Object.entries(mutants)) {
  test(`a plan that ${name} is found out`, () => {
    const found = Object.values(promises).map(of => fc.check(of(mutant), { ...runs, endOnFailure: true }));
    assert.ok(found.some(({ failed }) => failed));
  });
}

test('of two members that claim a partition, the one with the newer generation keeps it', () => {
  const plan = planSticky(4, [
    { memberId: 'a-zombie', owned: [0, 1], generation: 3 },
    { memberId: 'b', owned: [0, 1], generation: 4 },
  ]);
  assert.deepEqual(plan.get('b'), [0, 1]);
  assert.deepEqual(plan.get('a-zombie'), [2, 3]);
});

test('without members there is no plan, and without partitions everybody gets none', () => {
  assert.equal(planSticky(4, []).size, 0);
  assert.deepEqual([...planSticky(0, [{ memberId: 'a', owned: [1], generation: 1 }])], [['a', []]]);
});
