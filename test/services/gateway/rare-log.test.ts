import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLru } from '../../../services/gateway/lru.ts';
import { openRareLog } from '../../../services/gateway/rare-log.ts';
import { quietOps } from '../../support/quiet-ops.ts';

test('of many lines about one thing, one in ten seconds is logged, with the number of the others', () => {
  const lines: object[] = [];
  const { log } = quietOps();
  log.warn = line => lines.push(line);
  let nowMs = 0;
  const warn = openRareLog(log, () => nowMs);
  for (; nowMs < 25_000; nowMs += 1_000) warn('topic', { event: 'record_misplaced', at: nowMs }, 'skipped');
  warn('other', { event: 'record_misplaced', at: nowMs }, 'skipped');
  assert.deepEqual(lines, [
    { event: 'record_misplaced', at: 0, leftOut: 0 },
    { event: 'record_misplaced', at: 10_000, leftOut: 9 },
    { event: 'record_misplaced', at: 20_000, leftOut: 9 },
    { event: 'record_misplaced', at: 25_000, leftOut: 0 },
  ]);
});

test('the entry that was unused longest goes first', () => {
  const lru = openLru<string, number>(2);
  lru.set('a', 1);
  lru.set('b', 2);
  assert.equal(lru.get('a'), 1);
  lru.set('c', 3);
  assert.deepEqual([lru.get('a'), lru.get('b'), lru.get('c')], [1, undefined, 3]);
});
