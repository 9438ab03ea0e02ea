import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clientWatches } from './guarantees/client-watches.ts';
import { logWatches } from './guarantees/log-watches.ts';
import { skewWatches } from './guarantees/skew-watches.ts';
import { surroundingsWatches } from './guarantees/surroundings-watches.ts';
import { applyMutant, type Mutant, mutantVariables, runWithMutant } from './support/mutate.ts';

describe('what is broken on purpose is caught', { concurrency: 2 }, () => {
  for (const { guarantee, name, caughtBy, ...mutant } of [
    ...clientWatches,
    ...logWatches,
    ...surroundingsWatches,
    ...skewWatches,
  ]) {
    test(`${guarantee}: ${name}`, async () => {
      const { outcome, output } = await runWithMutant(mutant, { ...caughtBy, timeoutMs: 60_000 });
      assert.equal(outcome, 'failed', `"${caughtBy.test}" does not notice\n${output.slice(-4_000)}`);
    });
  }
});

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
