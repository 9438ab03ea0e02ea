import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSchema, getIntrospectionQuery } from 'graphql';
import { openDocuments, operationTypeOf } from '../../../../services/gateway/graphql/documents.ts';

const schema = buildSchema('type Query { a: Query b: Int }');
const documents = openDocuments(schema, { maxDepth: 20, maxAliases: 3, maxTokens: 500 });

function codesOf(text: string): unknown[] {
  const checked = documents.check(text);
  return checked.ok ? [] : checked.errors.map(({ extensions, message }) => extensions.code ?? message);
}

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
  const roomy = openDocuments(schema, { maxDepth: 20, maxAliases: 3, maxTokens: 4_000 });
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

test('the operation is found by its name, or is the only one', () => {
  const checked = documents.check('query A { b } query B { b }');
  assert.ok(checked.ok);
  assert.equal(operationTypeOf(checked.document, 'B'), 'query');
  assert.throws(() => operationTypeOf(checked.document, undefined), { code: 'BAD_USER_INPUT' });
  assert.throws(() => operationTypeOf(checked.document, 'C'), { code: 'BAD_USER_INPUT' });
});
