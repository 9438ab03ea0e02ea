import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counter, Histogram, Registry } from 'prom-client';
import { grownWithUsers, seriesOf } from './cardinality.ts';

test('a family that grows with users is noticed, and one that shows a few new labels is not', async () => {
  const registry = new Registry();
  const registers = [registry];
  const byUser = new Counter({ name: 'by_user_total', help: 'h', labelNames: ['user'], registers });
  const byTier = new Counter({ name: 'by_tier_total', help: 'h', labelNames: ['tier'], registers });
  const seconds = new Histogram({ name: 'seconds', help: 'h', labelNames: ['key'], buckets: [1], registers });
  byUser.inc({ user: 'first "quoted" } one' });
  seconds.observe({ key: 'first' }, 1);
  const before = seriesOf([await registry.metrics()]);
  assert.equal(before.get('by_user_total')?.size, 1);
  for (const tier of ['memory', 'redis', 'kafka']) byTier.inc({ tier });
  for (let user = 0; user < 20; user++) {
    byUser.inc({ user: `${user}` });
    seconds.observe({ key: `${user}` }, 0.5);
  }
  assert.deepEqual(grownWithUsers(before, seriesOf([await registry.metrics()]), 20), [
    'by_user_total: 1 → 21',
    'seconds_bucket: 1 → 21',
    'seconds_sum: 1 → 21',
    'seconds_count: 1 → 21',
  ]);
});
