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

test('a dead-letter topic that is stuck is waited for once, keeps no more than its share of the lanes, and is trusted when it answers', async () => {
  const { log } = quietOps();
  const answers: PromiseWithResolvers<void>[] = [];
  const send = () => {
    const answer = Promise.withResolvers<void>();
    answers.push(answer);
    return answer.promise;
  };
  const bury = openGraveyard({ send }, log, 50);
  const value = Buffer.alloc(100_000);
  const intake = (offset: number) => {
    const record = { topic: 'commands', partition: 0, offset, timestampMs: 0, key: null, value, headers: {} };
    return { at: record, exception: 'x', message: 'no JSON', record } as unknown as DeadIntake;
  };
  await Promise.all([bury(intake(0)), bury(intake(1))]);
  const passed: number[] = [];
  for (let offset = 2; offset < 100; offset++) void bury(intake(offset)).then(() => passed.push(offset));
  await new Promise(setImmediate);
  assert.equal(passed.length, 98, 'nobody waits any more');
  assert.equal(answers.length, 10, 'a megabyte of letters');
  for (const answer of answers.splice(0)) answer.resolve();
  await new Promise(setImmediate);
  let over = false;
  const waited = bury(intake(100)).then(() => (over = true));
  await new Promise(setImmediate);
  assert.equal(over, false, 'a topic that answers is waited for');
  answers[0]?.resolve();
  await waited;
});
