import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openArrival } from '../../../lib/ownership/arrival.ts';
import { systemClock } from '../../../lib/ownership/clock.ts';

function arriving(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const told: (string | undefined)[] = [];
  const group = { isClaiming: true };
  const arrival = openArrival({
    isClaiming: () => group.isClaiming,
    windowMs: 1_000,
    clock: systemClock,
    tell: reason => void told.push(reason),
  });
  const claim = (from: 'nobody' | 'another gateway') => {
    if (from === 'another gateway') arrival.tookOver();
    group.isClaiming = false;
    arrival.look();
  };
  return { arrival, told, group, claim };
}

const claims = 'claims its partitions';
const receives = 'the clients of its partitions are on their way to it';

test('a gateway that takes over is there when the clients of who had it before had their time to come', t => {
  const { arrival, told, claim } = arriving(t);
  arrival.assigned();
  arrival.look();
  assert.deepEqual(told, [claims]);
  claim('another gateway');
  t.mock.timers.tick(999);
  assert.deepEqual(told, [claims, receives]);
  t.mock.timers.tick(1);
  assert.deepEqual(told, [claims, receives, undefined]);
});

test('one that gets what nobody had is there at once, and what it takes over later changes nothing', t => {
  const { arrival, told, group, claim } = arriving(t);
  arrival.assigned();
  claim('nobody');
  assert.deepEqual(told, [claims, undefined]);
  group.isClaiming = true;
  arrival.assigned();
  claim('another gateway');
  t.mock.timers.tick(10_000);
  assert.deepEqual(told, [claims, undefined]);
});

test('one that leaves the group meanwhile is not there, and arrives again', t => {
  const { arrival, told, group, claim } = arriving(t);
  arrival.assigned();
  claim('another gateway');
  arrival.left();
  t.mock.timers.tick(10_000);
  assert.deepEqual(told, [claims, receives]);
  group.isClaiming = true;
  arrival.assigned();
  claim('another gateway');
  t.mock.timers.tick(1_000);
  assert.deepEqual(told, [claims, receives, claims, receives, undefined]);
});
