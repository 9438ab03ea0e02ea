import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openSequenceMemory, openSingleSequence, repeats } from '../../../lib/replay/sequence-filter.ts';

test('a sequence that is not above the last one passed is a repeat; without one, or without a last, it is none', () => {
  const cases: readonly [number | undefined, number | undefined, boolean][] = [
    [undefined, undefined, false],
    [undefined, 0, false],
    [0, undefined, false],
    [0, 0, true],
    [4, 3, true],
    [4, 4, true],
    [4, 5, false],
    [4, 9, false],
  ];
  for (const [last, sequence, expected] of cases)
    assert.equal(repeats(last, sequence), expected, `${last} ${sequence}`);
});

/** A handler's log of one key: 1, 2, 3 … where a crash writes the last ones again before it goes on. */
const logs = fc
  .array(fc.record({ more: fc.integer({ min: 1, max: 5 }), again: fc.nat({ max: 8 }) }), { maxLength: 30 })
  .map(lives => {
    const log: number[] = [];
    let last = 0;
    for (const { more, again } of lives) {
      for (let sequence = Math.max(1, last - again + 1); sequence <= last; sequence += 1) log.push(sequence);
      for (let count = 0; count < more; count += 1) log.push((last += 1));
    }
    return log;
  });

test('of a log with repeats, each sequence passes once, in order, wherever the stream begins', () => {
  fc.assert(
    fc.property(logs, fc.nat(), (log, where) => {
      const start = log.length === 0 ? 0 : where % log.length;
      const seen = start === 0 ? undefined : Math.max(...log.slice(0, start));
      const memory = openSingleSequence(seen);
      const passed = filter(log.slice(start), sequence => ['key', sequence], memory);
      const expected = log.length === 0 ? [] : range((seen ?? 0) + 1, Math.max(...log));
      assert.deepEqual(passed, expected);
    }),
  );
});

test('keys do not disturb each other, and the memory stays within its bound', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat({ max: 20 }), fc.nat({ max: 9 }))), records => {
      const memory = openSequenceMemory(21);
      const passed = filter(records, ([key, sequence]) => [`${key}`, sequence], memory);
      const last = new Map<number, number>();
      const expected = records.filter(([key, sequence]) => {
        if (sequence <= (last.get(key) ?? -1)) return false;
        last.set(key, sequence);
        return true;
      });
      assert.deepEqual(passed, expected);
    }),
  );
});

test('the keys that passed last are remembered, whatever came before them', () => {
  const memory = openSequenceMemory(100);
  for (let key = 0; key < 10_000; key += 1) memory.pass(`${key}`, key);
  for (let key = 9_900; key < 10_000; key += 1) assert.equal(memory.last(`${key}`), key);
  assert.equal(memory.last('9700'), undefined);
});

function filter<Item>(
  items: readonly Item[],
  of: (item: Item) => [string, number],
  memory: { last(key: string): number | undefined; pass(key: string, sequence: number): void },
): Item[] {
  return items.filter(item => {
    const [key, sequence] = of(item);
    if (repeats(memory.last(key), sequence)) return false;
    memory.pass(key, sequence);
    return true;
  });
}

function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}
