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

test('every partition is given exactly once, and members differ by one at most', () => {
  fc.assert(
    fc.property(partitionCount, claimants, (count, members) => {
      const plan = planSticky(count, members);
      assert.deepEqual(
        [...plan.values()].flat().sort((a, b) => a - b),
        Array.from({ length: count }, (_, i) => i),
      );
      assert.deepEqual([...plan.keys()].sort(), members.map(({ memberId }) => memberId).sort());
      assert.ok(Math.max(...sizes(plan)) - Math.min(...sizes(plan)) <= 1);
    }),
  );
});

test('the plan does not depend on the order in which members are listed', () => {
  fc.assert(
    fc.property(partitionCount, claimants, fc.infiniteStream(fc.nat()), (count, members, noise) => {
      const shuffled = members
        .map(member => ({ member, at: noise.next().value }))
        .sort((a, b) => a.at - b.at)
        .map(({ member }) => member);
      assert.deepEqual(Object.fromEntries(planSticky(count, shuffled)), Object.fromEntries(planSticky(count, members)));
    }),
  );
});

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

test('after members come and go, no more partitions move than balance demands', () => {
  const step = fc.record({ leaves: fc.nat(), joins: fc.nat({ max: 2 }) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 36 }), fc.array(step, { minLength: 1, maxLength: 8 }), (count, steps) => {
      let generation = 1;
      let names = 2;
      let plan = planSticky(count, [
        { memberId: 'm0', owned: [], generation: -1 },
        { memberId: 'm1', owned: [], generation: -1 },
      ]);
      for (const { leaves, joins } of steps) {
        const members: Claimant[] = [...plan].map(([memberId, owned]) => ({ memberId, owned, generation }));
        if (members.length > 1) members.splice(leaves % members.length, 1);
        for (let i = 0; i < joins; i++) members.push({ memberId: `m${names++}`, owned: [], generation: -1 });
        const next = planSticky(count, members);
        const moved = members.flatMap(({ memberId, owned }) => owned.filter(p => !next.get(memberId)?.includes(p)));
        assert.equal(
          moved.length,
          fewestMoves(
            count,
            members.map(({ owned }) => owned.length),
          ),
        );
        plan = next;
        generation++;
      }
    }),
  );
});

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
