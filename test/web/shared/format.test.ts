import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatCents, formatChange, formatCount, formatDuration, parseCents } from '../../../web/shared/format.ts';

test('cents are shown as euros, with a plain space behind the sign of the currency', () => {
  for (const [cents, text] of [
    [0, '€ 0.00'],
    [5, '€ 0.05'],
    [1_234, '€ 12.34'],
    [-5, '-€ 0.05'],
    [-50_000, '-€ 500.00'],
    [123_456_789, '€ 1,234,567.89'],
    [Number.MAX_SAFE_INTEGER, '€ 90,071,992,547,409.91'],
  ] as const) {
    assert.equal(formatCents(cents), text);
  }
  assert.equal(formatChange(1_234), '+€ 12.34');
  assert.equal(formatChange(-1_234), '-€ 12.34');
});

test('an amount is read to the cent, or not at all', () => {
  for (const [text, cents] of [
    ['12.34', 1_234],
    ['12,34', 1_234],
    ['12.3', 1_230],
    [' 12 ', 1_200],
    ['€ 0.07', 7],
    ['0', 0],
    ['-1.50', -150],
    ['', undefined],
    ['1.234', undefined],
    ['1,234.56', undefined],
    ['twelve', undefined],
    ['1e3', undefined],
    ['NaN', undefined],
    ['99999999999999', undefined],
  ] as const) {
    assert.equal(parseCents(text), cents, text);
  }
});

test('what is shown of any amount is read as the same amount', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 999_999_999_999_999 }), cents => {
      assert.equal(parseCents(formatCents(cents).replaceAll(',', '')), cents);
    }),
  );
});

test('counts and durations are short', () => {
  assert.equal(formatCount(12_345), '12,345');
  assert.deepEqual([40, 9_940, 12_400, 200_000].map(formatDuration), ['0.0 s', '9.9 s', '12 s', '3 min']);
});
