import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId, openOrderOf } from '../../../web/bank/model/orders.ts';

function storage() {
  const items = new Map<string, string>();
  return {
    items,
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  };
}

test('an order outlives the page until it has its verdict, for its user alone', () => {
  const kept = storage();
  const order = { id: newId(crypto.getRandomValues.bind(crypto)), wish: { kind: 'pay-in', amountCents: 5 } } as const;
  openOrderOf('alice', kept).write(order);
  assert.deepEqual(openOrderOf('alice', kept).read(), order);
  assert.equal(openOrderOf('bob', kept).read(), undefined);
  openOrderOf('alice', kept).clear();
  assert.equal(openOrderOf('alice', kept).read(), undefined);
});

test('what is no order in the storage is none', () => {
  const kept = storage();
  const order = openOrderOf('alice', kept);
  order.write({ id: 'x', wish: { kind: 'open' } });
  const [key = ''] = kept.items.keys();
  for (const text of [
    ...['', '{', 'null', '7', '{"id":1,"wish":{"kind":"open"}}', '{"id":"x"}', '{"id":"x","wish":{"kind":"steal"}}'],
    '{"id":"x","wish":{"kind":"pay-in","amountCents":0.5}}',
    '{"id":"x","wish":{"kind":"transfer","amountCents":1,"recipient":"a"}}',
  ]) {
    kept.items.set(key, text);
    assert.equal(order.read(), undefined, text);
  }
});

test('ids are UUIDs of version 4', () => {
  const uuid = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;
  const ids = Array.from({ length: 100 }, () => newId(bytes => crypto.getRandomValues(bytes)));
  for (const id of ids) assert.match(id, uuid);
  assert.equal(new Set(ids).size, ids.length);
});
