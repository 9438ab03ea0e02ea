import type { ArgumentFilter, Op } from './plan.ts';

/**
 * What filters mean, here in JavaScript and in a view's SQL alike:
 *
 * - All filters of a field must match. An argument that is absent or null filters nothing.
 * - A field that is null matches nothing, `NE` included (as SQL's comparisons with NULL do).
 * - String and ID compare by code point, which is the byte order of UTF-8 (`COLLATE "C"`), with no normalisation;
 *   enums by name, for equality only; numbers as numbers; DateTime by instant (canonical strings sort like instants);
 *   Boolean for equality only.
 * - `CONTAINS` is case-sensitive; the empty string is contained in everything that is not null.
 * - `IN`: equal to an item; null items match nothing, nor does the empty list.
 */
export type Predicate = (value: Readonly<Record<string, unknown>>) => boolean;

/**
 * @param args coerced arguments, by name, as graphql-js hands them to a resolver.
 * @returns undefined where nothing filters. The predicate takes an object as `fillShape` gives it.
 */
export function compilePredicate(
  filters: readonly ArgumentFilter[],
  args: Readonly<Record<string, unknown>>,
): Predicate | undefined {
  const tests = filters.flatMap(filter => {
    const operand = args[filter.argument];
    return operand === undefined || operand === null ? [] : [testOf(filter, operand)];
  });
  if (tests.length === 0) return undefined;
  const [first, ...others] = tests;
  if (first && others.length === 0) return first;
  return value => tests.every(test => test(value));
}

function testOf({ field, op }: ArgumentFilter, operand: unknown): Predicate {
  const matches = comparison(op, operand);
  const name = field.name;
  return value => {
    const actual = value[name];
    return actual !== null && actual !== undefined && matches(actual);
  };
}

function comparison(op: Op, operand: unknown): (actual: unknown) => boolean {
  switch (op) {
    case 'EQ':
      return actual => actual === operand;
    case 'NE':
      return actual => actual !== operand;
    case 'IN': {
      const items = new Set(Array.isArray(operand) ? operand : [operand]);
      return actual => items.has(actual);
    }
    case 'CONTAINS':
      return actual => typeof actual === 'string' && actual.includes(String(operand));
    case 'LT':
      return actual => compare(actual, operand) < 0;
    case 'LTE':
      return actual => compare(actual, operand) <= 0;
    case 'GT':
      return actual => compare(actual, operand) > 0;
    case 'GTE':
      return actual => compare(actual, operand) >= 0;
  }
}

/** Negative, zero or positive; NaN (which no comparison holds for) where two values have no order. */
function compare(left: unknown, right: unknown): number {
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  if (typeof left === 'string' && typeof right === 'string') return compareCodePoints(left, right);
  return Number.NaN;
}

/**
 * By code point. JavaScript's `<` compares UTF-16 units, which differs where a surrogate pair (from U+10000) meets a
 * unit from U+E000 to U+FFFF.
 */
export function compareCodePoints(left: string, right: string): number {
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at++) {
    const a = rank(left.charCodeAt(at));
    const b = rank(right.charCodeAt(at));
    if (a !== b) return a - b;
  }
  return left.length - right.length;
}

/** Orders UTF-16 units like the code points they are part of: surrogates behind everything else. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
