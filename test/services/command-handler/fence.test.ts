import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openFence } from '../../../services/command-handler/fence.ts';

function openWithClocks() {
  const now = { steadyMs: 1_000, wallMs: 50_000 };
  const pauses: number[] = [];
  const fence = openFence({
    pauseMs: 1_000,
    onPause: forMs => void pauses.push(forMs),
    clocks: { steadyMs: () => now.steadyMs, wallMs: () => now.wallMs },
  });
  const pass = (steadyMs: number, wallMs = steadyMs) => {
    now.steadyMs += steadyMs;
    now.wallMs += wallMs;
  };
  return { fence, now, pass, pauses };
}

test('after a pause nothing is sent until the group has confirmed it by a request that was sent after the pause', async () => {
  const { fence, now, pass, pauses } = openWithClocks();
  assert.equal(fence.maySend(), false, 'before the first confirmation');
  pass(300);
  fence.confirmed(now.steadyMs - 100);
  assert.equal(fence.maySend(), true);
  pass(900);
  assert.equal(fence.maySend(), true, 'a short pause');
  const sentBefore = now.steadyMs;
  pass(3_600_000);
  assert.equal(fence.maySend(), false, 'after an hour');
  fence.confirmed(sentBefore);
  assert.equal(fence.maySend(), false, 'an answer that lay in the socket for an hour says nothing');
  pass(200);
  fence.confirmed(now.steadyMs - 100);
  assert.equal(fence.maySend(), true);
  assert.deepEqual(pauses, [3_600_000]);
  await fence.close();
});

test('a machine that was suspended, for which no time has passed, is told by the wall clock; one set back is no pause', async () => {
  const { fence, now, pass } = openWithClocks();
  fence.confirmed(now.steadyMs);
  pass(5, 3_600_000);
  assert.equal(fence.maySend(), false);
  fence.confirmed(now.steadyMs);
  assert.equal(fence.maySend(), true);
  pass(5, -3_600_000);
  assert.equal(fence.maySend(), true);
  await fence.close();
});
