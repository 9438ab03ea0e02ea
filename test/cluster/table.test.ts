import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSound, type Row, reasonsOf, tableOf } from './table.ts';

const row = (more: Partial<Row> = {}, stretch: Partial<Row['stretch']> = {}): Row => ({
  ...{ name: 'a step', planned: true, seconds: 1, remark: 'by hand', failure: undefined, busy: 0.5, node: 0.4 },
  stretch: {
    counts: { lost: 0, twice: 0, outOfOrder: 0, foreign: 0, deliveries: 9 },
    gaps: { clients: 3, p50: 1, p99: 2, max: 3 },
    ...{ requests: 4, failed: [], profile: [] },
    ...stretch,
  },
  ...more,
});
const failed = [
  { atMs: 1, kind: 'query', why: '503' },
  { atMs: 2, kind: 'query', why: '503' },
] as const;
const lost = { lost: 1, twice: 0, outOfOrder: 0, foreign: 0, deliveries: 9 };

test('a step is sound when it did what it is for, no record is astray, and none of a planned change failed a request', () => {
  assert.equal(isSound(row()), true);
  assert.equal(isSound(row({ failure: 'no Pod' })), false);
  assert.equal(isSound(row({}, { counts: lost })), false);
  assert.equal(isSound(row({}, { failed })), false);
  assert.equal(isSound(row({ planned: false }, { failed })), true);
});

test('the table has a line for each step, and a failure in place of its remark', () => {
  const lines = tableOf([row({}, { failed }), row({ failure: 'a|b' })]).split('\n');
  assert.equal(lines[2], '| a step | 1 | 0 | 0 | 0 | 1 / 2 / 3 | 4 | 2 | 50 %, 40 % | by hand |');
  assert.match(lines[3] ?? '', /\*\*FAILED\*\*: a\\\|b \|$/);
});

test('reasons are told once each, with how often they were', () => {
  assert.deepEqual(reasonsOf(row({}, { failed })), ['2 × query: 503']);
});
