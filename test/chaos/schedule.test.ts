import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faults } from './faults/index.ts';
import { type Step, schedule } from './schedule.ts';

const names = faults.map(({ name }) => name);
const pause = { minMs: 100, maxMs: 900 };

function first(seed: number, count: number): Step[] {
  const steps: Step[] = [];
  for (const step of schedule(seed, names, pause)) if (steps.push(step) === count) break;
  return steps;
}

test('the same seed gives the same schedule, another one another', () => {
  assert.deepEqual(first(7, 50), first(7, 50));
  assert.notDeepEqual(first(7, 50), first(8, 50));
});

test('each fault comes once in every round', () => {
  const steps = first(3, names.length * 2).map(({ fault }) => fault);
  for (const round of [steps.slice(0, names.length), steps.slice(names.length)]) {
    assert.deepEqual(round.sort(), [...names].sort());
  }
});

test('a fault has a name of its own, as an argument takes it', () => {
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^[a-z]+(-[a-z]+)*$/);
});
