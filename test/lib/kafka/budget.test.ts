import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Budget, type Sized } from '../../../lib/kafka/budget.ts';

interface Item extends Sized {
  id: number;
}

const limitBytes = 100;

test('never more than the limit is inside, unless it is one item alone; items enter in order; none is forgotten', () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 1, max: 150 }) }),
    fc.record({ leave: fc.nat() }),
    fc.record({ remove: fc.nat(5) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const inside: Item[] = [];
      const entered: number[] = [];
      const removed = new Set<number>();
      let added = 0;
      const budget = new Budget<Item>(limitBytes, item => {
        inside.push(item);
        entered.push(item.id);
      });
      for (const now of steps) {
        if ('add' in now) budget.add({ id: added++, sizeBytes: now.add });
        else if ('remove' in now) {
          for (const { id } of budget.remove(({ id: one }) => one % 6 === now.remove)) removed.add(id);
        } else {
          const [item] = inside.splice(now.leave % Math.max(1, inside.length), 1);
          if (item !== undefined) budget.release(item);
          budget.admit();
        }
        const used = inside.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
        assert.equal(budget.usedBytes, used);
        assert.ok(used <= limitBytes || inside.length === 1);
      }
      for (let item = inside.pop(); item !== undefined; item = inside.pop()) {
        budget.release(item);
        budget.admit();
      }
      assert.ok(budget.empty);
      assert.deepEqual(
        entered,
        Array.from({ length: added }, (_, id) => id).filter(id => !removed.has(id)),
      );
    }),
  );
});
