import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ProofRules, proofRules } from '../../../../lib/replay/buffer/proof.ts';
import { type UpkeepRules, upkeepRules } from '../../../../lib/replay/buffer/upkeep.ts';
import { BufferWorld } from './buffer-world.ts';
import { play, type Step, schedules } from './schedules.ts';
import { type ScriptRules, SimulatedStore, scriptRules, simulatedPage } from './simulated-store.ts';

interface Rules {
  upkeep: UpkeepRules;
  proof: ProofRules;
  scripts: ScriptRules;
  newId(count: number): string;
}

const rules: Rules = { upkeep: upkeepRules, proof: proofRules, scripts: scriptRules, newId: count => `w${count}` };

async function playModel(steps: readonly Step[], { upkeep, proof, scripts, newId }: Rules): Promise<BufferWorld> {
  let windows = 0;
  const store = new SimulatedStore(scripts);
  const world = new BufferWorld({
    ...{ store, upkeep, proof, page: simulatedPage, topic: 't' },
    newId: () => newId((windows += 1)),
  });
  await play(world, store, steps);
  await world.finish();
  return world;
}

const runs = Number(process.env.TEST_SCHEDULES ?? 5_000);

test('whatever happens to gateways and Redis: what the buffer proves is the log’s, and it gets in step again', async () => {
  const counts = { proved: 0, unknown: 0 };
  await fc.assert(
    fc.asyncProperty(schedules, async steps => {
      const world = await playModel(steps, rules);
      assert.deepEqual(world.problems, []);
      counts.proved += world.counts.proved;
      counts.unknown += world.counts.unknown;
    }),
    { numRuns: runs },
  );
  // Else the schedules would prove nothing themselves.
  assert.ok(counts.proved > runs && counts.unknown > runs, JSON.stringify(counts));
});

const mutants: Readonly<Record<string, Partial<Rules>>> = {
  'appends before the epoch check': { scripts: { ...scriptRules, appendsBeforeFence: true } },
  'skips the fence': { scripts: { ...scriptRules, fences: false } },
  'appends whatever the tail is': { scripts: { ...scriptRules, checksTail: false } },
  'ignores HOLE': { upkeep: { ...upkeepRules, afterHole: { phase: 'fenced' } } },
  'serves a hole before the first entry as complete': { proof: { ...proofRules, follows: () => true } },
  'serves a hole behind the last entry as complete': { proof: { ...proofRules, ends: () => true } },
  'takes a key that the window does not know for one without records': {
    proof: { ...proofRules, windowReaches: () => true },
  },
  'is off by one where the window begins': {
    proof: { ...proofRules, windowReaches: (from, after) => from <= after + 2 },
  },
  'does not write the predecessor': { scripts: { ...scriptRules, writesPrevious: false } },
  'uses the id of a window again': { newId: () => 'w' },
  'trusts any window that it finds': { upkeep: { ...upkeepRules, trusts: () => true } },
  'claims more than a new window will have': { scripts: { ...scriptRules, claimsFrom: from => Math.max(0, from - 1) } },
};
for (const [name, broken] of Object.entries(mutants)) {
  test(`a buffer that ${name} is found out`, async () => {
    const found = await fc.check(
      fc.asyncProperty(schedules, async steps => {
        assert.deepEqual((await playModel(steps, { ...rules, ...broken })).problems, []);
      }),
      { numRuns: Math.max(runs, 20_000), seed: 1, endOnFailure: true },
    );
    assert.ok(found.failed, `survived ${found.numRuns} schedules`);
  });
}
