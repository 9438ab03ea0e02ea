import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  executeSubscriptionEvent,
  GraphQLError,
  parse,
  specifiedRules,
  validate,
  validateSubscriptionArgs,
} from 'graphql';
import { fillShape } from '../../../../lib/app/index.ts';
import { collectFields } from '../../../../services/gateway/graphql/collect.ts';
import { openErrorFormatter } from '../../../../services/gateway/graphql/errors.ts';
import { readRequest } from '../../../../services/gateway/graphql/request.ts';
import { openSelections, type Selection } from '../../../../services/gateway/graphql/selection.ts';
import { quietOps } from '../../../support/quiet-ops.ts';
import { compiled } from '../../../support/schemas.ts';

const plan = compiled(`
  scalar DateTime
  scalar JSON
  enum Colour { RED BLUE }
  type Query { _: Boolean }
  type Mutation {
    say(text: String!, times: Int = 2): Heard! @command(topic: "c", type: "say", feedback: "f")
    mumble(text: String): Heard @command(topic: "c", type: "mumble", feedback: "f")
  }
  type Subscription {
    things(colour: Colour @where(field: "colour")): Thing! @records(topic: "t")
    whisper(text: String!): Heard! @command(topic: "c", type: "whisper", feedback: "f")
    audit: Thing! @records(topic: "t", scope: ALL) @requiresRole(anyOf: ["auditor"])
  }
  type Heard { text: String }
  interface Named { name: String! }
  type Thing implements Named {
    name: String! id: ID count: Int at: DateTime any: JSON colour: Colour inner: Inner inners: [Inner!] words: [String]
    secret: String @requiresRole(anyOf: ["auditor"])
  }
  type Inner { x: Float y: Boolean }
`);
const format = openErrorFormatter(quietOps().log);
const selections = openSelections(plan, format, 100_000);
const caller = { userKey: 'alice', roles: [] as string[], expiresAtMs: 0, accessTokenHash: '' };

function operation(query: string, variables: Record<string, unknown> = {}) {
  const document = parse(query);
  assert.deepEqual(validate(plan.schema, document, specifiedRules), []);
  return { document, request: readRequest({ query, variables }) };
}

const select = (query: string, variables: Record<string, unknown> = {}, roles: string[] = []): Selection =>
  selections.ofSubscription(operation(query, variables), { caller: { ...caller, roles } });

const written = {
  name: 'a"b',
  id: '1',
  count: null,
  at: '2026-01-02T03:04:05Z',
  any: { deep: [1, null, 'x'] },
  colour: 'RED',
  inner: { x: 1.5, y: null },
  inners: [{ x: null, y: true }],
  words: ['a', null],
  secret: 's',
};

/** As a stream has it: a record's value, filled into the type. */
const thing = (() => {
  const shape = plan.streams.get('things')?.shape;
  assert.ok(shape);
  const place = { topic: 't', partition: 0, offset: 0, timestampMs: 0, key: null, headers: {} };
  const filled = fillShape(shape, { ...place, value: Buffer.from(JSON.stringify(written)) });
  assert.ok(filled.ok);
  return filled.value;
})();

const leaf = fc.constantFrom(
  'name',
  'id',
  'count',
  'at',
  'any',
  'colour',
  'words',
  '__typename',
  'n: name',
  'name: name',
  '__proto__: id',
);
const inner = fc
  .array(fc.constantFrom('x', 'y', 'z: x', '__typename'), { minLength: 1, maxLength: 3 })
  .map(fields => `{ ${fields.join(' ')} }`);
const selectionSet: fc.Arbitrary<string> = fc.letrec<{ set: string; item: string }>(tie => ({
  item: fc.oneof(
    { weight: 4, arbitrary: leaf },
    {
      weight: 2,
      arbitrary: fc.tuple(fc.constantFrom('inner', 'inners', 'i: inner'), inner).map(parts => parts.join(' ')),
    },
    { weight: 1, arbitrary: tie('set').map(set => `... on Thing ${set}`) },
    { weight: 1, arbitrary: tie('set').map(set => `... ${set}`) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        '... on Named { name }',
        '...F',
        'id @include(if: true)',
        'id @skip(if: true)',
        'secret',
      ),
    },
  ),
  set: fc.array(tie('item'), { minLength: 1, maxLength: 4 }).map(items => `{ ${items.join(' ')} }`),
})).set;

test('a projection gives what graphql-js gives, whatever is selected', () => {
  let different = 0;
  fc.assert(
    fc.property(selectionSet, fc.boolean(), (set, aliased) => {
      const query = `subscription { ${aliased ? 'alias: ' : ''}things ${set} } fragment F on Thing { count inner { y } }`;
      const document = parse(query);
      if (
        validate(
          plan.schema,
          document,
          specifiedRules.filter(({ name }) => name !== 'NoUnusedFragmentsRule'),
        ).length > 0
      ) {
        different++;
        return;
      }
      const request = readRequest({ query });
      const { projection } = selections.ofSubscription({ document, request }, { caller });
      const args = validateSubscriptionArgs({ schema: plan.schema, document, contextValue: { caller } });
      assert.ok('schema' in args);
      args.rootValue = { things: thing };
      const expected = executeSubscriptionEvent(args);
      assert.ok(!(expected instanceof Promise));
      const errors = expected.errors?.flatMap(error => format(error));
      const json = JSON.stringify({ ...(errors && { errors }), data: expected.data });
      assert.equal(`{${projection.members(thing)}}`, json, query);
    }),
    { numRuns: 300 },
  );
  assert.ok(different < 200, 'most of the documents are valid');
});

test('fields that are the same in the result are one, at the root too', () => {
  const { projection } = select(
    'subscription { things { name } things { id } ...G } fragment G on Subscription { things { name colour } }',
  );
  assert.equal(projection.members(thing), '"data":{"things":{"name":"a\\"b","id":"1","colour":"RED"}}');
});

/** 2^levels fields where they are expanded, one where they are merged. */
function doubling(levels: number, on: string, last: string, field = '') {
  const inner = (next: string) => (field === '' ? `...${next} ...${next}` : `${field} { ...${next} ...${next} }`);
  const chain = Array.from({ length: levels }, (_, i) => `fragment D${i} on ${on} { ${inner(`D${i + 1}`)} }`);
  return `${chain.join(' ')} fragment D${levels} on ${on} { ${last} }`;
}

test('each field of a document is collected once, however often its fragment is spread', () => {
  const query = `subscription { ...D0 } ${doubling(10, 'Subscription', 'things { name }')}`;
  const document = parse(query);
  const args = validateSubscriptionArgs({ schema: plan.schema, document });
  const root = plan.schema.getSubscriptionType();
  assert.ok('schema' in args && root);
  const collected = collectFields(args, root, [args.operation.selectionSet]);
  assert.deepEqual(
    [...collected].map(([key, nodes]) => [key, nodes.length]),
    [['things', 1]],
  );
});

test('fragments that double each other cost what they would once, at the root and below it', () => {
  const root = select(`subscription { ...D0 } ${doubling(100, 'Subscription', 'things { name }')}`);
  assert.equal(root.projection.members(thing), '"data":{"things":{"name":"a\\"b"}}');
  const below = select(`subscription { things { ...D0 ...D0 } } ${doubling(100, 'Thing', 'id')}`);
  assert.equal(below.projection.members(thing), '"data":{"things":{"id":"1"}}');
});

test('an event over the limit of a result is refused by it', () => {
  const aliases = Array.from({ length: 50 }, (_, index) => `a${index}: name`).join(' ');
  const { projection } = select(`subscription { things { ${aliases} } }`);
  assert.ok(projection.members({ ...thing, name: 'x'.repeat(1_900) }).length < 100_000);
  assert.throws(() => projection.members({ ...thing, name: 'x'.repeat(2_000) }), {
    code: 'LIMIT_EXCEEDED',
    extensions: { limit: 'PENSTOCK_GATEWAY_MAX_RESPONSE_BYTES' },
  });
  assert.throws(() => projection.members({ ...thing, name: '\u0001'.repeat(1_000) }), { code: 'LIMIT_EXCEEDED' });
  const json = select('subscription { things { any } }').projection;
  assert.throws(() => json.members({ ...thing, any: Array(60_000).fill(1) }), { code: 'LIMIT_EXCEEDED' });
});

test('equal subscriptions share a projection, also where only filters differ', () => {
  const { document, request } = operation('subscription($c: Colour) { things(colour: $c) { name } }');
  const of = (variables: object, roles: string[] = []) =>
    selections.ofSubscription(
      { document, request: { ...request, variables: { ...variables } } },
      { caller: { ...caller, roles } },
    );
  const red = of({ c: 'RED' });
  assert.deepEqual(red.args, { colour: 'RED' });
  assert.equal(of({ c: 'BLUE' }).projection, red.projection);
  assert.notEqual(of({ c: 'RED' }, ['auditor']).projection, red.projection, 'roles may see more');
  const shown = operation('subscription($s: Boolean!) { things { name id @include(if: $s) } }');
  const members = (s: boolean) =>
    selections
      .ofSubscription({ ...shown, request: { ...shown.request, variables: { s } } }, { caller })
      .projection.members(thing);
  assert.equal(members(true), '"data":{"things":{"name":"a\\"b","id":"1"}}');
  assert.equal(members(false), '"data":{"things":{"name":"a\\"b"}}');
});

test('arguments come with their defaults, and an alias is the name in the result', () => {
  const selection = select('subscription { w: whisper(text: "x") { text } }');
  assert.deepEqual([selection.kind, selection.args, selection.responseName], ['command', { text: 'x' }, 'w']);
});

test('a subscription without its role, or with bad variables, is refused', () => {
  assert.throws(() => select('subscription { audit { name } }'), { code: 'FORBIDDEN' });
  assert.equal(select('subscription { audit { name } }', {}, ['auditor']).kind, 'stream');
  const bad = () => select('subscription($c: Colour) { things(colour: $c) { name } }', { c: 'GREEN' });
  assert.throws(bad, { name: 'OperationRefused' });
});

test('a mutation of one command goes without graphql-js; what is more than that does not', () => {
  const simple = selections.ofMutation(
    operation('mutation($t: String!) { s: say(text: $t) { ...T } } fragment T on Heard { text }', { t: 'x' }),
  );
  assert.ok(simple);
  assert.deepEqual([simple.args, simple.responseName, simple.nothing], [{ text: 'x', times: 2 }, 's', null]);
  assert.equal(JSON.stringify(simple.data({ text: 'y' })), '{"s":{"text":"y"}}');
  const located = simple.located(new Error('no'));
  assert.ok(located instanceof GraphQLError);
  assert.deepEqual([located.path, located.locations], [['s'], [{ line: 1, column: 25 }]]);
  const nullable = selections.ofMutation(operation('mutation { mumble { text } }'));
  assert.deepEqual(nullable?.nothing, { mumble: null });
  for (const query of [
    'mutation { a: say(text: "x") { text } b: say(text: "y") { text } }',
    'mutation { ...M } fragment M on Mutation { say(text: "x") { text } }',
    'mutation { say(text: "x") @include(if: true) { text } }',
    'mutation { say(text: "x") { text @skip(if: false) } }',
    'mutation { __typename }',
  ]) {
    assert.equal(selections.ofMutation(operation(query)), undefined, query);
  }
  assert.throws(() => selections.ofMutation(operation('mutation($t: String!) { say(text: $t) { text } }')), {
    name: 'OperationRefused',
  });
});
