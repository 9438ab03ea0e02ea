// starts first: it runs the test of each mutant
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientWatches } from './guarantees/client-watches.ts';
import { skewWatches } from './guarantees/skew-watches.ts';
import { surroundingsWatches } from './guarantees/surroundings-watches.ts';
import { testWatches } from './guarantees/watches.ts';
import { applyMutant, type Mutant, mutantVariables, runWithMutant } from './support/mutate.ts';

testWatches([...clientWatches, ...surroundingsWatches, ...skewWatches]);

const harmless: Mutant = {
  file: 'lib/kafka/lane.ts',
  find: 'POSITIVE_INFINITY',
  replace: 'POSITIVE_INFINITY',
};

test('a mutant that changes nothing lets the test pass', async () => {
  const caughtBy = { file: 'test/lib/kafka/lane.test.ts', test: 'sequences wrap as the broker expects' };
  const { outcome, output } = await runWithMutant(harmless, { ...caughtBy, timeoutMs: 60_000 });
  assert.equal(outcome, 'passed', output);
});

test('a test that no file has is not taken for a mutant that was caught', async () => {
  const caughtBy = { file: 'test/lib/kafka/lane.test.ts', test: 'no such test' };
  assert.equal((await runWithMutant(harmless, { ...caughtBy, timeoutMs: 60_000 })).outcome, 'not run');
});

test('a mutant whose text is not there once, or that does not parse, is refused', () => {
  assert.throws(() => applyMutant({ file: 'x', find: 'a', replace: 'b' }, 'c'), /stale: "a" occurs 0 times/);
  assert.throws(() => applyMutant({ file: 'x', find: 'a', replace: 'b' }, 'aa'), /occurs 2 times/);
  assert.equal(applyMutant({ file: 'x', find: 'a', replace: '$&$&' }, 'a'), '$&$&');
  assert.throws(() => mutantVariables({ ...harmless, find: 'no such text' }), /stale/);
  assert.throws(() => mutantVariables({ ...harmless, replace: ')' }), { name: 'SyntaxError' });
});
