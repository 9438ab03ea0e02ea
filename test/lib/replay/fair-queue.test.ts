import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openFairQueue } from '../../../lib/replay/fair-queue.ts';
import { openPlaces } from '../../../lib/replay/waiting.ts';

test('an owner with much waiting is served once before the others, not all of it', () => {
  const queue = openFairQueue<string>();
  for (let index = 1; index <= 100; index++) queue.push('greedy', `greedy-${index}`);
  queue.push('modest', 'modest-1');
  assert.equal(queue.size, 101);
  assert.deepEqual([queue.shift(), queue.shift(), queue.shift()], ['greedy-1', 'modest-1', 'greedy-2']);
});

test('nothing is lost, each owner is served in order, and nobody twice while another waits', () => {
  const pushes = fc.array(fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.constant(undefined)), { maxLength: 60 });
  fc.assert(
    fc.property(pushes, steps => {
      const queue = openFairQueue<{ owner: string; index: number }>();
      const waiting = new Map<string, number[]>();
      /** How often others were served since an owner that waits was served or came. */
      const passedOver = new Map<string, string[]>();
      const take = () => {
        const item = queue.shift();
        if (item === undefined) return assert.ok([...waiting.values()].every(items => items.length === 0));
        assert.equal(waiting.get(item.owner)?.shift(), item.index);
        passedOver.delete(item.owner);
        for (const [owner, items] of waiting) {
          if (items.length === 0 || owner === item.owner) continue;
          const served: string[] = [...(passedOver.get(owner) ?? []), item.owner];
          assert.equal(new Set(served).size, served.length, `${owner} waited while another was served twice`);
          passedOver.set(owner, served);
        }
        return undefined;
      };
      for (const [index, owner] of steps.entries()) {
        if (owner === undefined) take();
        else {
          queue.push(owner, { owner, index });
          waiting.set(owner, [...(waiting.get(owner) ?? []), index]);
        }
      }
      while (queue.size > 0) take();
      take();
    }),
  );
});

test('places go to owners in turn, and whoever would wait behind too many is told at once', async () => {
  const places = openPlaces(1, 3);
  const order: string[] = [];
  const leaveFirst = await places.take('greedy');
  const take = (owner: string, name: string) =>
    places.take(owner)?.then(leave => {
      order.push(name);
      leave();
    });
  const all = [take('greedy', 'greedy-2'), take('greedy', 'greedy-3'), take('modest', 'modest-1')];
  assert.equal(places.take('late'), undefined);
  leaveFirst?.();
  await Promise.all(all);
  assert.deepEqual(order, ['greedy-2', 'modest-1', 'greedy-3']);
  assert.notEqual(places.take('late'), undefined, 'there is a place again');
});
