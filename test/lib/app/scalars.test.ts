import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { execute, type GraphQLScalarType, parse, valueFromAST } from 'graphql';
import { compiled } from '../../support/schemas.ts';

const plan = compiled(`
  scalar Cents @scalar(as: "SafeInt")
  scalar DateTime
  scalar JSON
  type Row @table(name: "rows", topics: ["t"], id: ["id"]) { id: ID! cents: Cents at: DateTime json: JSON }
  type Query { row(cents: Cents, at: DateTime): Row @view(table: "rows") }
  type Mutation { put(cents: Cents = 7, at: DateTime, json: JSON): Row @command(topic: "c", type: "put", feedback: "f") }
`);

/** What the resolver of `put` is given, or the first error's message. */
function given(literal: string, variables: Readonly<Record<string, unknown>> = {}): unknown {
  let seen: unknown;
  const result = execute({
    schema: plan.schema,
    document: parse(`mutation ($cents: Cents, $at: DateTime, $json: JSON) { put(${literal}) { id } }`),
    variableValues: variables,
    fieldResolver: (_source, args) => {
      seen = { ...args };
      return null;
    },
  });
  assert.ok(!(result instanceof Promise));
  return result.errors ? result.errors[0]?.message : seen;
}

/** What comes out for a value in a result, or the first error's message. */
function shown(field: 'cents' | 'at' | 'json', value: unknown): unknown {
  const result = execute({
    schema: plan.schema,
    document: parse(`{ row { ${field} } }`),
    rootValue: { row: { [field]: value } },
  });
  assert.ok(!(result instanceof Promise));
  if (result.errors) return result.errors[0]?.message;
  return (result.data as { row: Record<string, unknown> }).row[field];
}

const refusedCents = [
  [1.5, '1.5'],
  [1e20, '100000000000000000000'],
  [2 ** 53, '9007199254740992'],
  [-(2 ** 53), '-9007199254740992'],
  ['1', '"1"'],
  [true, 'a value of type boolean'],
  [[1, 2], 'a list'],
  [{}, 'a value of type object'],
] as const;

for (const [value, name] of refusedCents) {
  test(`a SafeInt can't be ${JSON.stringify(value)}: not in variables, not in results`, () => {
    const why = `Cents must be an integer within ±(2^53 − 1), not ${name}`;
    assert.match(
      String(given('cents: $cents', { cents: value })),
      new RegExp(`${why.replace(/[()^[\]{}.+]/g, '\\$&')}`),
    );
    assert.equal(shown('cents', value), why);
  });
}

for (const literal of [
  '1.5',
  '1e20',
  '1e2',
  '"1"',
  '9007199254740992',
  '-9007199254740992',
  '12345678901234567890123',
  'true',
  'ONE',
  '[1, 2]',
  '{}',
]) {
  test(`a SafeInt can't be the literal ${literal}`, () => {
    assert.match(String(given(`cents: ${literal}`)), /Cents must be an integer within ±\(2\^53 − 1\), not /);
  });
}

test('a SafeInt is any safe integer: as a literal, in a variable, in a result, by default', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), cents => {
      assert.deepEqual(given(`cents: ${cents}`), { cents });
      assert.deepEqual(given('cents: $cents', { cents }), { cents });
      assert.equal(shown('cents', cents), cents);
    }),
  );
  assert.deepEqual(given('cents: 9007199254740991'), { cents: Number.MAX_SAFE_INTEGER });
  assert.deepEqual(given('cents: null'), { cents: null });
  assert.deepEqual(given('at: null'), { cents: 7, at: null });
});

test('a SafeInt is no other number', () => {
  fc.assert(
    fc.property(
      fc.double().filter(value => !Number.isSafeInteger(value)),
      value => assert.match(String(shown('cents', value)), /^Cents must be an integer/),
    ),
  );
});

test('a DateTime comes in as RFC 3339 and is canonical from then on', () => {
  assert.deepEqual(given('at: "2026-07-31T12:00:00+02:00"'), { cents: 7, at: '2026-07-31T10:00:00.000Z' });
  assert.deepEqual(given('at: $at', { at: '2026-07-31T10:00:00Z' }), { cents: 7, at: '2026-07-31T10:00:00.000Z' });
  for (const at of ['yesterday', 1_785_492_000_000, '2026-02-30T10:00:00Z', true]) {
    assert.match(String(given('at: $at', { at })), /must be an RFC 3339 date-time such as/);
  }
  for (const literal of ['5', '"yesterday"', 'NOW']) {
    assert.match(String(given(`at: ${literal}`)), /DateTime must be an RFC 3339 date-time such as/);
  }
});

test('a DateTime goes out canonical, from a text, milliseconds or a Date', () => {
  for (const value of ['2026-07-31T12:00:00+02:00', 1_785_492_000_000, new Date(1_785_492_000_000)]) {
    assert.equal(shown('at', value), '2026-07-31T10:00:00.000Z');
  }
  for (const value of ['yesterday', Number.NaN, new Date(Number.NaN), {}, true]) {
    assert.match(String(shown('at', value)), /DateTime must be an RFC 3339 date-time/);
  }
});

test('a JSON is any JSON value, in and out', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), json => {
      if (json === null) return;
      assert.deepEqual(given('json: $json', { json }), { cents: 7, json });
      assert.deepEqual(shown('json', json), json);
    }),
  );
  const literal = given('json: { a: [1, 2.5, "x", true, null], b: $json }', { json: { c: 1 } });
  assert.equal(JSON.stringify(literal), '{"cents":7,"json":{"a":[1,2.5,"x",true,null],"b":{"c":1}}}');
});

test('a JSON nested too deeply is refused before anything recursive meets it', () => {
  const deep = JSON.parse('['.repeat(50_000) + ']'.repeat(50_000));
  assert.match(String(given('json: $json', { json: deep })), /is nested deeper than 100/);
  assert.match(String(shown('json', deep)), /is nested deeper than 100/);
});

test('libraries that still use the older coercion functions get the same', () => {
  const [cents, json] = ['Cents', 'JSON'].map(name => plan.schema.getType(name) as GraphQLScalarType);
  assert.ok(cents && json);
  assert.equal(cents.serialize(5), 5);
  assert.equal(cents.parseValue(5), 5);
  assert.throws(() => cents.parseValue('5'));
  assert.equal(valueFromAST({ kind: 'IntValue', value: '5' } as never, cents), 5);
  assert.equal(valueFromAST({ kind: 'FloatValue', value: '1.5' } as never, cents), undefined);
});
