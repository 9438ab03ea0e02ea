import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  buildSchema,
  type ExecutionArgs,
  execute,
  GraphQLError,
  type GraphQLFieldResolver,
  getIntrospectionQuery,
  isObjectType,
  parse,
  specifiedRules,
  validate,
} from 'graphql';
import { openErrorFormatter } from '../../../../services/gateway/graphql/errors.ts';
import { executeWithin } from '../../../../services/gateway/graphql/execution.ts';
import { TooLarge } from '../../../../services/gateway/graphql/run.ts';
import { quietOps } from '../../../support/quiet-ops.ts';

const schema = buildSchema(`
  type Query { thing: Thing things(first: Int): [Thing!] maybe: [Thing] must: Thing! fails: Thing mustFail: Thing! bad: Colour }
  type Mutation { next(by: Int = 1): Int! fail: Int! maybeFail: Int }
  enum Colour { RED }
  interface Named { name: String }
  type Thing implements Named {
    name: String id: ID! count: Int ratio: Float colour: Colour inner: Inner inners: [Inner] musts: [Inner!]
    secret: String mustSecret: String!
  }
  type Inner { x: Float y: Boolean! thing: Thing secret: String }
`);
for (const type of Object.values(schema.getTypeMap())) {
  if (!isObjectType(type)) continue;
  for (const [name, field] of Object.entries(type.getFields())) {
    if (!/secret/i.test(name)) continue;
    field.resolve = (_source, _args, _context, { parentType }) => {
      throw new GraphQLError(`no ${parentType}.${name} for you`);
    };
  }
}
const deep = { name: 'z', id: '9', count: 3, inner: null };
const inner = { x: 1.5, y: true, thing: deep };
const thing = {
  ...{ name: 'a"b\u0001é', id: 7, count: 12_345, ratio: 0.1, colour: 'RED' },
  ...{ inner, inners: [inner, null, { x: 2, y: null }], musts: [inner, { x: null, y: null }] },
};
const roots: Readonly<Record<string, unknown>> = {
  thing,
  things: [thing, deep],
  maybe: [null, thing, { id: null }],
  must: thing,
  bad: 'BLUE',
};
let count = 0;
const fieldResolver: GraphQLFieldResolver<unknown, unknown> = async (_source, { by = 0 }, _context, { fieldName }) => {
  if (/fail/i.test(fieldName)) throw new Error(`${fieldName} has failed`);
  if (fieldName === 'next') return (count += by);
  return roots[fieldName];
};
/** As the gateway's, but graphql-js asks it for all fields. */
const everyField: typeof fieldResolver = (source, args, context, info) =>
  isObjectType(info.parentType) && ['Query', 'Mutation'].includes(info.parentType.name)
    ? fieldResolver(source, args, context, info)
    : (source as Readonly<Record<string, unknown>>)[info.fieldName];

const format = openErrorFormatter(quietOps().log);

async function both(query: string, variableValues: Record<string, unknown> = {}) {
  const document = parse(query);
  const args: ExecutionArgs = { schema, document, variableValues };
  count = 0;
  const expected = await execute({ ...args, fieldResolver: everyField });
  count = 0;
  const actual = await executeWithin({ ...args, fieldResolver }, 1_000_000);
  const seen = ({ errors, data }: typeof actual) => ({
    data: JSON.stringify(data),
    // Side by side, graphql-js reports errors in the order in which the fields were ready.
    errors: errors?.map(error => JSON.stringify(error)).sort(),
  });
  return { actual: seen(actual), expected: seen(expected) };
}

const names = ['name', 'id', 'count', 'ratio', 'colour', 'secret', 'mustSecret', '__typename', 'n: name', 'name: name'];
const innerNames = ['x', 'y', 'z: x', '__typename', 'secret', 'thing { name inner { x } }'];
const directives = fc.constantFrom('', '', '', '@include(if: $yes)', '@skip(if: $yes)', '@include(if: false)');
const innerSet = fc
  .array(fc.tuple(fc.constantFrom(...innerNames, '...I', '...I'), directives), { minLength: 1, maxLength: 4 })
  .map(
    items =>
      `{ ${items.map(([item, directive]) => (item.includes('{') ? item.replace('{', `${directive} {`) : `${item} ${directive}`)).join(' ')} }`,
  );
const thingSet: fc.Arbitrary<string> = fc.letrec<{ set: string; item: string }>(tie => ({
  item: fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.constantFrom(...names), directives).map(parts => parts.join(' ')) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.constantFrom('inner', 'inners', 'musts', 'i: inner', '__proto__: inner'), directives, innerSet)
        .map(parts => parts.join(' ')),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom('... on Thing', '...', '... on Named'), directives, fc.constant('{ name }'))
        .map(parts => parts.join(' ')),
    },
    { weight: 1, arbitrary: tie('set').map(set => `... on Thing ${set}`) },
    { weight: 2, arbitrary: fc.tuple(fc.constantFrom('...F', '...G'), directives).map(parts => parts.join(' ')) },
  ),
  set: fc.array(tie('item'), { minLength: 1, maxLength: 4 }).map(items => `{ ${items.join(' ')} }`),
})).set;
const rootField = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('thing', 'things', 'things(first: 2)', 'maybe', 'must', 'fails', 'mustFail', 't: thing'),
      directives,
      thingSet,
    )
    .map(parts => parts.join(' ')),
  fc.constantFrom('__typename', 'bad', '__schema { queryType { name } }', '__type(name: "Inner") { fields { name } }'),
);
const fragments = `
  fragment F on Thing { count inner { y ...I } ...G ...G }
  fragment G on Thing { name inners { ...I } inner { ...I } }
  fragment I on Inner { x y thing { id } }`;

test('a result is what graphql-js makes of it, whatever is selected', async () => {
  let executed = 0;
  const rules = specifiedRules.filter(({ name }) => !/^NoUnused/.test(name));
  await fc.assert(
    fc.asyncProperty(fc.array(rootField, { minLength: 1, maxLength: 3 }), fc.boolean(), async (fields, yes) => {
      const query = `query($yes: Boolean! = true) { ${fields.join(' ')} } ${fragments}`;
      if (validate(schema, parse(query), rules).length > 0) return;
      executed++;
      const { actual, expected } = await both(query, { yes });
      // With several reasons for the whole to be null, any one will do.
      if (expected.data === 'null')
        assert.deepEqual([actual.data, actual.errors?.length === 0], ['null', false], query);
      else assert.deepEqual(actual, expected, query);
    }),
    { numRuns: 600 },
  );
  assert.ok(executed > 200, `${executed} documents were valid`);
});

test('introspection is what graphql-js makes of it', async () => {
  const { actual, expected } = await both(getIntrospectionQuery({ inputValueDeprecation: true, specifiedByUrl: true }));
  assert.deepEqual(actual, expected);
});

test('mutations go one after the other, and none follows one that failed and could not be null', async () => {
  for (const query of [
    'mutation { a: next b: next(by: 10) maybeFail c: next }',
    'mutation { a: next fail b: next }',
    'mutation { ...M ...M } fragment M on Mutation { a: next b: next }',
  ]) {
    const { actual, expected } = await both(query);
    assert.deepEqual(actual, expected, query);
  }
  assert.equal(count, 2);
});

test('variables that do not fit are refused before anything is resolved', async () => {
  const { actual, expected } = await both('query($n: Int!) { things(first: $n) { id } }', { n: 'one' });
  assert.deepEqual(actual, expected);
});

const aliases = Array.from({ length: 50 }, (_, index) => `a${index}: name`).join(' ');

/** How many characters were asked of the source before the result was given up. */
async function charsUntilRefused(query: string, maxBytes: number, text: string): Promise<number> {
  let chars = 0;
  const source = {
    get name() {
      chars += text.length;
      return text;
    },
    id: 1,
  };
  await assert.rejects(
    executeWithin({ schema, document: parse(query), fieldResolver: () => Array(1_000).fill(source) }, maxBytes),
    (error: unknown) => {
      assert.ok(error instanceof TooLarge);
      const [formatted] = format(error);
      assert.deepEqual(formatted.extensions, { code: 'LIMIT_EXCEEDED', limit: 'PENSTOCK_GATEWAY_MAX_RESPONSE_BYTES' });
      return true;
    },
  );
  return chars;
}

test('a result over its limit is refused while it is built, not after it', async () => {
  assert.ok((await charsUntilRefused(`{ maybe { ${aliases} } }`, 10_000, 'x')) <= 10_000 / 8);
});

test('a field that is large is not multiplied by its aliases', async () => {
  assert.ok((await charsUntilRefused(`{ things { ${aliases} } }`, 1_000_000, 'x'.repeat(100_000))) <= 1_100_000);
});

test('a result is measured in bytes of its JSON text, to the byte', async () => {
  for (const [text, size] of [
    ['x', 1],
    ['"', 2],
    ['é', 2],
    ['\u0001', 6],
    ['😀', 4],
  ] as const) {
    const of = (times: number, maxBytes: number) =>
      executeWithin(
        { schema, document: parse('{ thing { name } }'), fieldResolver: () => ({ name: text.repeat(times) }) },
        maxBytes,
      );
    const overhead = '{"thing":{"name":""}}'.length;
    await of(1_000, 1_000 * size + overhead);
    await assert.rejects(of(1_000, 1_000 * size + overhead - 1), TooLarge, JSON.stringify(text));
  }
});

test('errors count as well: a result of nothing but errors ends too', async () => {
  const query = '{ things { id secret } }';
  const fieldResolver = () => Array(1_000).fill({ id: 1 });
  await assert.rejects(executeWithin({ schema, document: parse(query), fieldResolver }, 100_000), TooLarge);
});

test('what is aborted is not gone on with', async () => {
  const aborting = new AbortController();
  count = 0;
  const document = parse('mutation { a: next b: next }');
  const stop: typeof fieldResolver = (...parts) => {
    aborting.abort(new Error('gone'));
    return fieldResolver(...parts);
  };
  const args = { schema, document, fieldResolver: stop, abortSignal: aborting.signal };
  await assert.rejects(executeWithin(args, 100_000), { message: 'gone' });
  assert.equal(count, 1);
});
