import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openGraveyard } from '../../../services/command-handler/dead-letters.ts';
import type { DeadIntake } from '../../../services/command-handler/types.ts';
import { quietOps } from '../../support/quiet-ops.ts';

test('a dead-letter topic that nobody leads holds up no command', async () => {
  const { log } = quietOps();
  let asked = 0;
  const never = new Promise<never>(() => {});
  const send = () => {
    asked++;
    return never;
  };
  const bury = openGraveyard({ send }, log, 50);
  const record = { topic: 'commands', partition: 0, offset: 3, timestampMs: 0, key: null, value: null, headers: {} };
  await bury({ at: record, exception: 'x', message: 'no JSON', record } as unknown as DeadIntake);
  assert.equal(asked, 1);
});
