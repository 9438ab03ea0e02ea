import assert from 'node:assert/strict';
import { test } from 'node:test';
import type pg from 'pg';
import type { Topics } from '../../../lib/kafka/index.ts';
import { type Scan, scanLog } from '../../../services/command-handler/reconcile-scan.ts';

const at = { topic: 'events', partition: 3 };

/** A log whose leader shows nothing behind offset 5 for so many fetches. */
function scanOf(empty: number): Scan & { fetched: number[] } {
  const fetched: number[] = [];
  const fetch: Topics['fetch'] = async (_, offset) => {
    fetched.push(offset);
    const nextOffset = offset < 5 ? 5 : empty-- > 0 ? offset : 9;
    return { ...at, topicId: 'id', records: [], nextOffset, endOffset: nextOffset };
  };
  return { topics: { fetch }, client: {} as pg.ClientBase, onLost() {}, patienceMs: 500, fetched };
}

test('a log whose new leader does not show its end yet is read on when it does, and never taken for read', async () => {
  const late = scanOf(2);
  await scanLog(late, at, { start: 0, end: 9 });
  assert.deepEqual(late.fetched, [0, 5, 5, 5]);
  await assert.rejects(
    scanLog(scanOf(Number.POSITIVE_INFINITY), at, { start: 0, end: 9 }),
    /events\/3 can be read up to offset 5 only, and not to its end at 9/,
  );
});
