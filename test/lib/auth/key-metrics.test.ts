import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newestEnds } from '../../../lib/auth/key-metrics.ts';
import { scheduleFor } from '../../../lib/auth/key-schedule.ts';

test('of each use the newest key counts, by the clock of this process', () => {
  const key = (use: 'access' | 'route', signsFromMs: number) => ({ kid: '', use, signsFromMs, longestTokenMs: 0 });
  const keys = [key('access', 5_000_000), key('access', 1_000_000), key('route', 2_000_000)];
  assert.deepEqual(newestEnds(keys, scheduleFor(86_400), 500_000), [
    { use: 'access', rotationSeconds: 90_900, expirySeconds: 94_500 },
    { use: 'route', rotationSeconds: 87_900, expirySeconds: 91_500 },
  ]);
});
