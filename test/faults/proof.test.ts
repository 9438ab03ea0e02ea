import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { violations } from '../proof/check.ts';
import { prove, runMutants } from '../proof/run.ts';
import { type Stack, startStack } from '../support/stack.ts';

let stack: Stack;

before(async () => {
  stack = await startStack({ gateways: 2, handlers: 2 });
});

after(() => stack?.stop());

test('G1 G2 G3 G4 G5: with handlers and gateways killed, money is exact, each command has one verdict, each stream is the topic', async () => {
  const result = await prove(stack, { commands: 1_200, users: 24, kills: 4, seed: 7, name: 'short' });
  assert.equal(result.kills.length, 4);
  assert.ok(result.reconnects > 0, 'no client lost its gateway');
  assert.ok(result.deliveries > 500, `only ${result.deliveries} deliveries`);
  assert.deepEqual(violations(result.findings), 0, JSON.stringify(result.findings));
});

test('each mutant of the proof is caught by the check that it names', async () => {
  assert.deepEqual(await runMutants(stack, 7), []);
});
