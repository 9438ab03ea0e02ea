import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTick, setTimeout as sleep } from 'node:timers/promises';
import { openAfterEvent } from '../../../services/gateway/after-event.ts';
import { until } from '../../support/until.ts';

test('what waits for an event runs once, behind all events of its tick', async () => {
  const events = openAfterEvent();
  const order: string[] = [];
  events.delivered();
  events.run(60_000, () => void order.push('left'));
  await nextTick();
  assert.equal(order.length, 0);
  for (const event of ['one', 'two']) {
    order.push(event);
    events.delivered();
  }
  await nextTick();
  events.delivered();
  await nextTick();
  assert.deepEqual(order, ['one', 'two', 'left']);
});

test('where no event comes it does not wait for ever', async () => {
  const events = openAfterEvent();
  let runs = 0;
  events.run(5, () => runs++);
  await until('the time is over', () => runs > 0);
  events.delivered();
  await sleep(5);
  assert.equal(runs, 1);
});
