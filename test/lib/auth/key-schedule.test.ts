import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type KeyTimes, scheduleFor, signingKeyAt, workFor } from '../../../lib/auth/key-schedule.ts';

/** Routers that look at the shared keys at arbitrary times, some of them cut off, over several rotations. */
const history = fc.record({
  rotationSeconds: fc.integer({ min: 60, max: 4_000 }),
  tokenSeconds: fc.integer({ min: 1, max: 8_000 }),
  stepsMs: fc.array(fc.integer({ min: 1, max: 600_000 }), { minLength: 5, maxLength: 120 }),
});

describe('the schedule of signing keys', () => {
  test('always has a key to sign with, publishes it before it signs, and forgets it after its last token', () => {
    fc.assert(
      fc.property(history, ({ rotationSeconds, tokenSeconds, stepsMs }) => {
        const schedule = scheduleFor(rotationSeconds);
        const longestTokenMs = tokenSeconds * 1_000;
        let nowMs = 1_000_000;
        let keys: KeyTimes[] = [];
        const lastSignature = new Map<string, number>();
        for (const [index, stepMs] of stepsMs.entries()) {
          nowMs += stepMs;
          const before = signingKeyAt(keys, schedule, nowMs);
          const work = workFor(keys, schedule, nowMs, longestTokenMs);
          for (const kid of work.forget) {
            assert.ok(
              (lastSignature.get(kid) ?? 0) + longestTokenMs <= nowMs,
              'forgotten while a token it signed may still be valid',
            );
          }
          keys = keys.filter(key => !work.forget.includes(key.kid));
          if (work.signsFromMs !== undefined) {
            const aheadMs = work.signsFromMs - nowMs;
            const oldEndsMs = (before?.signsFromMs ?? 0) + schedule.rotationMs + schedule.graceMs;
            const ahead = before === undefined || aheadMs >= schedule.publishAheadMs || work.signsFromMs === oldEndsMs;
            assert.ok(ahead, 'signs before others know it');
            keys.push({ kid: `k${index}`, signsFromMs: work.signsFromMs, longestTokenMs });
          }
          const signing = signingKeyAt(keys, schedule, nowMs);
          assert.ok(signing !== undefined, 'nothing to sign with');
          lastSignature.set(signing.kid, nowMs);
        }
        const mostTokens = Math.ceil((longestTokenMs + 2 * schedule.graceMs) / schedule.rotationMs);
        assert.ok(keys.length <= mostTokens + 3, `${keys.length} keys kept`);
      }),
      { numRuns: 300 },
    );
  });

  test('lets a router that is cut off sign with what it knows for the grace time, and forgets that key later still', () => {
    const schedule = scheduleFor(3_600);
    const old = { kid: 'old', signsFromMs: 0, longestTokenMs: 600_000 };
    const lastMs = schedule.rotationMs + schedule.graceMs - 1;
    assert.equal(signingKeyAt([old], schedule, lastMs), old);
    assert.equal(signingKeyAt([old], schedule, lastMs + 1), undefined);
    const successor = { kid: 'new', signsFromMs: schedule.rotationMs, longestTokenMs: 600_000 };
    assert.deepEqual(workFor([old, successor], schedule, lastMs + old.longestTokenMs, 600_000).forget, []);
  });

  test('notes when tokens are to live longer than before', () => {
    const key = { kid: 'k', signsFromMs: 0, longestTokenMs: 60_000 };
    assert.deepEqual(workFor([key], scheduleFor(3_600), 1_000, 120_000).lengthen, ['k']);
    assert.deepEqual(workFor([key], scheduleFor(3_600), 1_000, 30_000).lengthen, []);
  });
});
