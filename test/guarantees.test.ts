import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { applyMutant, type Mutant, mutantVariables, runWithMutant } from './support/mutate.ts';

/** A guarantee of docs/guarantees.md, one thing broken on purpose that it rests on, and the test that must tell. */
interface Watch extends Mutant {
  guarantee: `G${number}`;
  name: string;
  caughtBy: { file: string; test: string };
}

const watches: readonly Watch[] = [
  {
    guarantee: 'G12',
    name: 'a batch whose answer was lost goes again under a new sequence',
    file: 'lib/kafka/lane.ts',
    find: 'if (this.batch !== undefined) return this.batch;',
    replace: 'if (this.batch !== undefined) { this.#nextSequence += this.batch.passengers.length; this.#unload(); }',
    caughtBy: {
      file: 'test/lib/kafka/lane.test.ts',
      test: 'whatever answers get lost, records are in the log once and in order; after a new producer none is missing',
    },
  },
  {
    guarantee: 'G14',
    name: 'a line of newcomers without an end',
    file: 'lib/auth/work-queue.ts',
    find: 'if (waiting.size >= maxWaiting)',
    replace: 'if (waiting.size < 0)',
    caughtBy: {
      file: 'test/services/router/admission.test.ts',
      test: 'are under way up to a number, wait up to a number, and are refused beyond',
    },
  },
  {
    guarantee: 'G14',
    name: 'an owner who keeps his turn while he has more waiting',
    file: 'lib/replay/fair-queue.ts',
    find: 'owners.delete(owner);',
    replace: 'if (items.size === 1) owners.delete(owner);',
    caughtBy: {
      file: 'test/lib/replay/fair-queue.test.ts',
      test: 'an owner with much waiting is served once before the others, not all of it',
    },
  },
];

describe('what is broken on purpose is caught', { concurrency: 2 }, () => {
  for (const { guarantee, name, caughtBy, ...mutant } of watches) {
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
