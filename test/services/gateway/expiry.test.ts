import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whenOver } from '../../../services/gateway/expiry.ts';

test('a time that is over calls at once, but not at once from inside', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let calls = 0;
  whenOver(
    500,
    () => void calls++,
    () => 1_000,
  );
  assert.equal(calls, 0);
  t.mock.timers.tick(1);
  assert.equal(calls, 1);
});

test('a time beyond the longest timer is waited for all the same', t => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  let calls = 0;
  const farMs = 2 ** 31 + 5_000;
  whenOver(farMs, () => void calls++);
  t.mock.timers.tick(2 ** 31 - 1);
  assert.equal(calls, 0);
  t.mock.timers.tick(5_002);
  assert.equal(calls, 1);
});

test('it can be stopped, also after a long wait', t => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const stop = whenOver(2 ** 31 + 5_000, () => assert.fail('it was stopped'));
  t.mock.timers.tick(2 ** 31 - 1);
  stop();
  t.mock.timers.tick(10_000);
});
