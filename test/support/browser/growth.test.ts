import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { growthOf, linearFit, type Point } from './growth.ts';

/** Points 15 s apart. */
function measured(values: readonly number[]): Point[] {
  return values.map((value, index) => ({ atSeconds: 60 + 15 * index, value }));
}

function near(actual: number, expected: number, tolerance = 1e-9): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

/** Ten minutes, with the saw teeth that garbage collections leave: 8 MB and up to 400 kB more. */
const sawTooth = Array.from({ length: 37 }, (_, index) => 8_000_000 + 100_000 * (index % 5));

test('the fit of points on a line is that line', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -1_000, max: 1_000 }),
      fc.integer({ min: -1_000, max: 1_000 }),
      fc.uniqueArray(fc.integer({ min: 0, max: 1_000 }), { minLength: 2, maxLength: 40 }),
      (slope, intercept, times) => {
        const fit = linearFit(times.map(atSeconds => ({ atSeconds, value: intercept + slope * atSeconds })));
        near(fit.slope, slope, 1e-6);
        near(fit.intercept, intercept, 1e-6);
      },
    ),
  );
});

test('the fit has the least squares: the line through (0, 1), (1, 3), (2, 2) is 1.5 + 0.5 t', () => {
  const fit = linearFit([1, 3, 2].map((value, atSeconds) => ({ atSeconds, value })));
  near(fit.slope, 0.5);
  near(fit.intercept, 1.5);
});

for (const [what, values, growth] of [
  ['what stays as it is', [5, 5, 5, 5], 0],
  ['what stays at nothing', [0, 0, 0], 0],
  ['what grows by a fifth', [100, 105, 110, 115, 120], 0.2],
  ['what shrinks by a fifth', [100, 90, 80], -0.2],
  ['what comes from nothing', [0, 1, 2], Number.POSITIVE_INFINITY],
] as const) {
  test(`${what} has a growth of ${growth}`, () => {
    const actual = growthOf(measured(values));
    if (Number.isFinite(growth)) near(actual, growth);
    else assert.equal(actual, growth);
  });
}

test('a heap that goes up and down has not grown', () => {
  assert.ok(Math.abs(growthOf(measured(sawTooth))) < 0.01);
});

test('one measurement that is higher by a half is no growth of a tenth', () => {
  const values = sawTooth.map((value, index) => (index === 30 ? 1.5 * value : value));
  assert.ok(growthOf(measured(values)) < 0.1);
});

test('a leak of 30 kB every 15 s shows among saw teeth', () => {
  const values = sawTooth.map((value, index) => value + 30_000 * index);
  assert.ok(growthOf(measured(values)) > 0.1);
});

test('one time is no line', () => {
  assert.throws(() => linearFit([]), RangeError);
  assert.throws(() => linearFit([{ atSeconds: 1, value: 2 }]), RangeError);
  assert.throws(() => growthOf([1, 2].map(value => ({ atSeconds: 1, value }))), RangeError);
});
