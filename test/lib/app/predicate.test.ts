import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type ArgumentFilter,
  compareCodePoints,
  compilePredicate,
  type Op,
  type ValueKind,
} from '../../../lib/app/index.ts';

function filter(op: Op, kind: ValueKind = { kind: 'String' }, argument = 'x', name = 'f'): ArgumentFilter {
  return {
    argument,
    op,
    field: { name, source: 'elsewhere', envelope: false, nonNull: false, value: kind, anyOf: [] },
  };
}

/** Whether a value of field `f` passes `f op operand`. */
function passes(op: Op, actual: unknown, operand: unknown): boolean {
  const predicate = compilePredicate([filter(op)], { x: operand });
  assert.ok(predicate);
  return predicate({ f: actual });
}

const cases: readonly [Op, unknown, unknown, boolean][] = [
  ['EQ', 'a', 'a', true],
  ['EQ', 'a', 'A', false],
  ['EQ', 0, -0, true],
  ['EQ', true, true, true],
  ['EQ', 'é', 'e\u0301', false],
  ['NE', 'a', 'b', true],
  ['NE', 'a', 'a', false],
  ['LT', 9, 10, true],
  ['LT', '9', '10', false],
  ['LTE', 10, 10, true],
  ['GT', 'b', 'a', true],
  ['GT', 'a', 'ab', false],
  ['GT', 'Z', 'a', false],
  ['GTE', '2026-07-31T10:00:00.000Z', '2026-07-31T10:00:00.000Z', true],
  ['LT', '0999-01-01T00:00:00.000Z', '2026-07-31T10:00:00.000Z', true],
  ['GT', '\u{1F600}', '\uFFFD', true],
  ['LT', '\uE000', '\u{10000}', true],
  ['CONTAINS', 'Rent July', 'July', true],
  ['CONTAINS', 'Rent July', 'july', false],
  ['CONTAINS', 'Rent', '', true],
  ['CONTAINS', '100%_', '%_', true],
  ['IN', 'a', ['b', 'a'], true],
  ['IN', 'a', [], false],
  ['IN', 'a', [null, 'b'], false],
  ['IN', 5, [5], true],
];

for (const [op, actual, operand, expected] of cases) {
  test(`${JSON.stringify(actual)} ${op} ${JSON.stringify(operand)} is ${expected}`, () => {
    assert.equal(passes(op, actual, operand), expected);
  });
}

const ops: readonly Op[] = ['EQ', 'NE', 'LT', 'LTE', 'GT', 'GTE', 'CONTAINS', 'IN'];

test('a field that is null or absent matches nothing, NE included', () => {
  for (const op of ops) {
    for (const operand of ['', 'a', 0, ['a'], [null]]) {
      assert.equal(passes(op, null, operand), false);
      assert.equal(passes(op, undefined, operand), false);
    }
  }
});

test('an argument that is null or absent filters nothing', () => {
  assert.equal(compilePredicate([], { x: 1 }), undefined);
  assert.equal(compilePredicate([filter('EQ')], {}), undefined);
  assert.equal(
    compilePredicate([filter('EQ'), filter('IN', { kind: 'Int' }, 'y')], { x: null, y: undefined }),
    undefined,
  );
  const predicate = compilePredicate([filter('EQ'), filter('EQ', { kind: 'Int' }, 'y', 'g')], { x: null, y: 1 });
  assert.ok(predicate?.({ f: 'anything', g: 1 }));
});

test('all filters must match, also two of one field', () => {
  const int: ValueKind = { kind: 'Int' };
  const predicate = compilePredicate([filter('GTE', int, 'from'), filter('LTE', int, 'to'), filter('NE', int, 'not')], {
    from: 1,
    to: 3,
    not: 2,
  });
  assert.ok(predicate);
  assert.deepEqual(
    [0, 1, 2, 3, 4].filter(f => predicate({ f })),
    [1, 3],
  );
});

test("a field is found by its GraphQL name, not by the record's", () => {
  const predicate = compilePredicate([filter('EQ')], { x: 1 });
  assert.equal(predicate?.({ elsewhere: 1 }), false);
});

const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 4 }),
  fc.string({ unit: fc.constantFrom('a', 'b', '\uD7FF', '\uE000', '\uFFFF', '\u{10000}', '\u{10FFFF}'), maxLength: 4 }),
);

test('texts compare as their UTF-8 bytes do, which is what COLLATE "C" does', () => {
  fc.assert(
    fc.property(texts, texts, (a, b) => {
      assert.equal(Math.sign(compareCodePoints(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { numRuns: 2_000 },
  );
});

test('operators agree with each other on whatever has an order', () => {
  const numbers = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ noNaN: true }), fc.maxSafeInteger());
  const pairs = fc.oneof(fc.tuple(numbers, numbers), fc.tuple(texts, texts));
  fc.assert(
    fc.property(pairs, ([actual, operand]) => {
      const [lt, eq, gt] = (['LT', 'EQ', 'GT'] as const).map(op => passes(op, actual, operand));
      assert.equal([lt, eq, gt].filter(Boolean).length, 1);
      assert.equal(passes('LTE', actual, operand), lt || eq);
      assert.equal(passes('GTE', actual, operand), gt || eq);
      assert.equal(passes('NE', actual, operand), !eq);
      assert.equal(passes('IN', actual, [operand]), eq);
      assert.equal(passes('LT', actual, operand), passes('GT', operand, actual));
    }),
    { numRuns: 1_000 },
  );
});

test('IN is EQ with any of the items', () => {
  const items = fc.array(fc.integer({ min: 0, max: 5 }));
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5 }), items, (actual, list) => {
      assert.equal(
        passes('IN', actual, list),
        list.some(item => passes('EQ', actual, item)),
      );
    }),
  );
});
