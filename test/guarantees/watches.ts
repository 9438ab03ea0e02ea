import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runWithMutant } from '../support/mutate.ts';
import type { Watch } from './watch.ts';

/** Declares a test for each mutant: it passes where the test that watches the guarantee fails. */
export function testWatches(watches: readonly Watch[]): void {
  describe('what is broken on purpose is caught', { concurrency: 2 }, () => {
    for (const { guarantee, name, caughtBy, ...mutant } of watches) {
      test(`${guarantee}: ${name}`, async () => {
        const { outcome, output } = await runWithMutant(mutant, { ...caughtBy, timeoutMs: 60_000 });
        assert.equal(outcome, 'failed', `"${caughtBy.test}" does not notice\n${output.slice(-4_000)}`);
      });
    }
  });
}
