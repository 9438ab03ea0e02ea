import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSchema, getIntrospectionQuery } from 'graphql';
import { openDocuments, operationTypeOf } from '../../../../services/gateway/graphql/documents.ts';
import { isTooDeep } from '../../../../services/gateway/graphql/limits.ts';

const schema = buildSchema('type Query { a: Query b: Int }');
const limits = { maxDepth: 20, maxAliases: 50, maxFields: 1_000, maxNameLength: 128, maxTokens: 4_000 };
const documents = openDocuments(schema, { ...limits, maxAliases: 3, maxTokens: 500 });

function codesOf(text: string): unknown[] {
  const checked = documents.check(text);
  return checked.ok ? [] : checked.errors.map(({ extensions, message }) => extensions.code ?? message);
}

/** Under the defaults: the limit that refuses it, or what else is wrong. */
function limitOf(text: string, more: object = {}): unknown {
  const checked = openDocuments(schema, { ...limits, ...more }).check(text);
  if (checked.ok) return undefined;
  const [error] = checked.errors;
  return error?.extensions.limit ?? error?.message;
}

const many = (times: number, text: (index: number) => string) =>
  Array.from({ length: times }, (_, i) => text(i)).join(' ');

test('a document that is fine is checked once', () => {
  const first = documents.check('{ a { b } }');
  assert.ok(first.ok);
  const again = documents.check('{ a { b } }');
  assert.ok(again.ok && again.document === first.document);
});

test('syntax and validation errors come without a code: the formatter gives them one', () => {
  assert.deepEqual(codesOf('{ a { b }'), ['Syntax Error: Expected Name, found <EOF>.']);
  assert.deepEqual(codesOf('{ c }'), ['Cannot query field "c" on type "Query". Did you mean "a" or "b"?']);
});

test('the standard introspection query is within the limits', () => {
  const roomy = openDocuments(schema, limits);
  assert.ok(roomy.check(getIntrospectionQuery()).ok);
});

test('depth counts through fragments', () => {
  const nested = (depth: number) => `${'{ a '.repeat(depth - 1)}{ b }${' }'.repeat(depth - 1)}`;
  assert.deepEqual(codesOf(nested(20)), []);
  assert.deepEqual(codesOf(nested(21)), ['LIMIT_EXCEEDED']);
  const spread = `${'{ a '.repeat(15)}{ ...F }${' }'.repeat(15)} fragment F on Query ${'{ a '.repeat(5)}{ b }${' }'.repeat(5)}`;
  assert.deepEqual(codesOf(spread), ['LIMIT_EXCEEDED']);
});

test('aliases count as often as their fragment is spread', () => {
  assert.deepEqual(codesOf('{ x: b y: b z: b }'), []);
  assert.deepEqual(codesOf('{ x: b y: b z: b w: b }'), ['LIMIT_EXCEEDED']);
  assert.deepEqual(codesOf('{ a { ...F } p: a { ...F } } fragment F on Query { x: b y: b }'), ['LIMIT_EXCEEDED']);
});

test('tokens are limited', () => {
  assert.deepEqual(codesOf(`{ ${'b '.repeat(600)} }`), ['LIMIT_EXCEEDED']);
});

test('fragments that spread each other end in an error, not in a loop', () => {
  const errors = codesOf('{ ...F } fragment F on Query { a { ...G } } fragment G on Query { a { ...F } }');
  assert.match(String(errors[0]), /Cannot spread fragment/);
  assert.notDeepEqual(codesOf('{ ...F } fragment F on Query { ...F }'), []);
});

test('fragments that double each other are measured without being walked as often', () => {
  const levels = Array.from(
    { length: 40 },
    (_, i) => `fragment F${i} on Query { a { ...F${i + 1} } c: a { ...F${i + 1} } }`,
  );
  assert.deepEqual(codesOf(`{ ...F0 } ${levels.slice(0, 18).join(' ')} fragment F18 on Query { b }`), [
    'LIMIT_EXCEEDED',
  ]);
});

test('fields count as often as their fragment is spread, in fragments that no operation spreads too', () => {
  const doubling = (levels: number) =>
    `${many(levels, i => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`)} fragment F${levels} on Query { b }`;
  assert.equal(limitOf(`{ ...F0 } ${doubling(9)}`), undefined);
  assert.equal(limitOf(`{ ...F0 } ${doubling(10)}`), 'PENSTOCK_GATEWAY_MAX_FIELDS');
  assert.equal(limitOf(`{ ...F0 } ${doubling(300)}`), 'PENSTOCK_GATEWAY_MAX_FIELDS');
  assert.equal(limitOf(`{ b } ${doubling(300)}`), 'PENSTOCK_GATEWAY_MAX_FIELDS');
  const nested = `${many(18, i => `fragment F${i} on Query { a { ...F${i + 1} ...F${i + 1} } }`)} fragment F18 on Query { b }`;
  assert.equal(limitOf(`{ ...F0 } ${nested}`), 'PENSTOCK_GATEWAY_MAX_FIELDS');
});

test('names are no longer than they may be, wherever they stand', () => {
  const long = 'n'.repeat(129);
  const texts = [
    `{ ${long} }`,
    `{ ${long}: b }`,
    `query ${long} { b }`,
    `query($${long}: Int) { b }`,
    `{ ...${long} } fragment ${long} on Query { b }`,
    `{ b @${long} }`,
    `{ b(${long}: 1) }`,
    `{ b(x: ${long}) }`,
  ];
  for (const text of texts) {
    assert.equal(limitOf(text), 'PENSTOCK_GATEWAY_MAX_NAME_LENGTH', text);
    assert.notEqual(limitOf(text.replaceAll(long, long.slice(1))), 'PENSTOCK_GATEWAY_MAX_NAME_LENGTH', text);
  }
});

test('what is nested without end is refused, whatever it is that nests', () => {
  for (const [open, inside, close] of [
    ['{ a ', '{ b }', ' }'],
    ['{ ... ', '{ b }', ' }'],
  ] as const) {
    const text = `${open.repeat(900)}${inside}${close.repeat(900)}`;
    assert.equal(limitOf(text), 'PENSTOCK_GATEWAY_MAX_DEPTH', open);
    assert.equal(limitOf(text.replaceAll(' ', ''), { maxTokens: 1_000_000 }), 'PENSTOCK_GATEWAY_MAX_DEPTH', open);
  }
  assert.equal(limitOf(`{ b(x: ${'['.repeat(900)}${']'.repeat(900)}) }`), 'PENSTOCK_GATEWAY_MAX_DEPTH');
  assert.equal(limitOf(`{ b(x: ${'{x:'.repeat(900)}1${'}'.repeat(900)}) }`), 'PENSTOCK_GATEWAY_MAX_DEPTH');
  assert.equal(limitOf(`query($x: ${'['.repeat(900)}Int${']'.repeat(900)}) { b }`), 'PENSTOCK_GATEWAY_MAX_DEPTH');
  const hostile = '{ a '.repeat(50_000);
  assert.equal(limitOf(hostile, { maxTokens: 1_000_000 }), 'PENSTOCK_GATEWAY_MAX_DEPTH');
});

test('values of variables are nested no deeper than literals', () => {
  const nested = (levels: number) => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`) as unknown;
  assert.equal(isTooDeep({ v: nested(200) }, limits), false);
  assert.equal(isTooDeep({ v: nested(201) }, limits), true);
  assert.equal(isTooDeep(nested(100_000), limits), true);
  assert.equal(isTooDeep({ a: [{ b: null }], c: 1, d: 'text' }, limits), false);
});

test('fields whose comparison would cost too much are refused by a limit, not as a mistake', () => {
  assert.equal(limitOf(`{ ${many(490, () => 'a { b }')} }`), 'PENSTOCK_GATEWAY_MAX_FIELDS');
});

test('a verdict is remembered by the hash of a long document, without its syntax tree where it was refused', () => {
  const roomy = openDocuments(schema, limits);
  const good = `{ b } ${'#'.repeat(10_000)}`;
  const accepted = roomy.check(good);
  assert.ok(accepted.ok);
  assert.equal(roomy.check(good), accepted);
  const bad = `{ ${many(30, i => `c${'x'.repeat(100)}${i}`)} ${'#'.repeat(10_000)}\n }`;
  const refused = roomy.check(bad);
  assert.ok(!refused.ok);
  assert.equal(roomy.check(bad), refused);
  assert.equal(refused.errors.length, 21);
  for (const { nodes, source, locations, message } of refused.errors) {
    assert.deepEqual([nodes, source], [undefined, undefined]);
    assert.ok(message.length <= 501);
    assert.equal(locations?.length, message.startsWith('Too many') ? undefined : 1);
  }
});

test('a message does not repeat a literal of any size', () => {
  const checked = documents.check(`{ a(x: "${'x'.repeat(50_000)}") { b } }`);
  assert.ok(!checked.ok && checked.errors.every(({ message }) => message.length <= 501));
});

test('what is remembered is bounded by tokens: many large documents push out each other', () => {
  const small = openDocuments(schema, { ...limits, cacheTokens: 1_200 });
  const texts = [0, 1, 2].map(n => `query Q${n} { ${many(400, () => 'b')} }`);
  const [first = ''] = texts;
  const checked = texts.map(text => small.check(text));
  assert.ok(checked.every(({ ok }) => ok));
  assert.equal(small.check(texts[2] ?? ''), checked[2]);
  assert.notEqual(small.check(first), checked[0]);
});

test('the operation is found by its name, or is the only one', () => {
  const checked = documents.check('query A { b } query B { b }');
  assert.ok(checked.ok);
  assert.equal(operationTypeOf(checked.document, 'B'), 'query');
  assert.throws(() => operationTypeOf(checked.document, undefined), { code: 'BAD_USER_INPUT' });
  assert.throws(() => operationTypeOf(checked.document, 'C'), { code: 'BAD_USER_INPUT' });
});
