import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { LogRecord } from '../../../lib/replay/log-record.ts';
import { fetchBytes, openReadTurns } from '../../../lib/replay/read-turns.ts';
import { StreamQueue } from '../../../lib/replay/stream-queue.ts';

test('as many read at once as there is room for what they bring', () => {
  const { turns, queue, readers } = world(3 * fetchBytes);
  assert.deepEqual(
    readers.map(reader => turns.begin(reader)),
    [true, true, true, false],
  );
  assert.ok(turns.goesOn());
  queue.push(recordOf(1));
  assert.ok(!turns.goesOn(), 'a further read of three finds no room');
});

test('one reads when nothing is queued, however small the budget', () => {
  const { turns, queue, readers } = world(1_000);
  assert.deepEqual(
    readers.map(reader => turns.begin(reader)),
    [true, false, false, false],
  );
  assert.ok(turns.goesOn());
  queue.push(recordOf(10));
  assert.ok(!turns.goesOn());
  turns.end(readers[0]);
  assert.ok(!turns.begin(readers[1]), 'what is queued has to be taken first');
  queue.take();
  queue.comeBack();
  assert.ok(turns.begin(readers[1]));
});

test('who ends lets the others ask again, once', async () => {
  const { turns, woken, readers } = world(1_000);
  turns.begin(readers[0]);
  turns.end(readers[0]);
  turns.end(readers[0]);
  turns.end(readers[1]);
  assert.equal(woken(), 0, 'not before it is through with it');
  await Promise.resolve();
  assert.equal(woken(), 1);
});

test('who gets no answer keeps the others waiting for a second', async (t: TestContext) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { turns, woken, readers } = world(1_000);
  turns.begin(readers[0]);
  t.mock.timers.tick(999);
  assert.ok(!turns.begin(readers[1]));
  t.mock.timers.tick(1);
  await Promise.resolve();
  assert.equal(woken(), 1);
  assert.ok(turns.begin(readers[1]));
});

function world(budgetBytes: number) {
  const queue = new StreamQueue(budgetBytes);
  let woken = 0;
  const turns = openReadTurns(queue, () => {
    woken += 1;
  });
  const readers = [{}, {}, {}, {}] as const;
  return { turns, queue, readers, woken: () => woken };
}

function recordOf(sizeBytes: number): LogRecord {
  return { sizeBytes } as LogRecord;
}
