import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Status } from '../../../client/src/index.ts';
import { afterGap, afterReplayed, afterState, type History, noHistory } from '../../../web/bank/model/outage.ts';

/** Each status at its time, in ms. */
function after(...states: [status: Status, nowMs: number, reason?: string][]): History {
  return states.reduce<History>(
    (history, [status, nowMs, reason]) => afterState(history, { status, reason }, nowMs),
    noHistory,
  );
}

test('a page that is being opened was never cut off', () => {
  assert.equal(after(['idle', 0], ['connecting', 1], ['replaying', 2]).outage, undefined);
  assert.equal(after(['connecting', 1], ['live', 2]).outage, undefined);
});

test('it is cut off from the first sign until it is live again, whatever lies between', () => {
  const lasting = after(['live', 0], ['connecting', 10, 'gone'], ['offline', 20], ['connecting', 30]);
  assert.deepEqual(lasting.outage, {
    ...{ sinceMs: 10, untilMs: undefined, reason: 'gone' },
    ...{ caughtUp: 0, hasGap: false },
  });
  const replaying = afterState(lasting, { status: 'replaying' }, 40);
  assert.equal(replaying.outage?.untilMs, undefined);
  const over = afterState(afterReplayed(afterReplayed(replaying)), { status: 'live' }, 50);
  assert.deepEqual([over.outage?.untilMs, over.outage?.caughtUp], [50, 2]);
});

test('events that come behind the last replayed one belong to the same outage; the next outage counts anew', () => {
  const over = afterReplayed(after(['live', 0], ['connecting', 10], ['live', 20]));
  assert.equal(over.outage?.caughtUp, 1);
  const next = afterState(over, { status: 'connecting' }, 30);
  assert.deepEqual([next.outage?.sinceMs, next.outage?.caughtUp, next.outage?.untilMs], [30, 0, undefined]);
});

test('a gap is told, and a replayed event or a gap without an outage is none', () => {
  assert.equal(afterGap(after(['live', 0], ['connecting', 10])).outage?.hasGap, true);
  assert.equal(afterGap(afterReplayed(noHistory)).outage, undefined);
});
