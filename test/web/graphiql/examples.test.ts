import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  buildASTSchema,
  buildClientSchema,
  buildSchema,
  concatAST,
  execute,
  type GraphQLSchema,
  introspectionFromSchema,
  parse,
  validate,
} from 'graphql';
import { definitions } from '../../../lib/app/definitions.ts';
import { type Example, examplesOf } from '../../../web/graphiql/examples.ts';

const root = join(import.meta.dirname, '../../..');

/** What a page gets to know of an app: introspection tells no directive of a field. */
function introspected(text: string): GraphQLSchema {
  const schema = buildASTSchema(concatAST([definitions, parse(text)]));
  return buildClientSchema(introspectionFromSchema(schema));
}

const appSchema = (folder: string) => introspected(readFileSync(join(root, folder, 'schema.graphql'), 'utf8'));
const withoutComments = ({ query }: Example) => query.replace(/^#.*\n/gm, '');
const titles = (examples: readonly Example[]) =>
  examples.map(example => /^(?:query|mutation|subscription) \w+/.exec(withoutComments(example))?.[0]);

/** Each example as a server would take it: valid, and with variables that its types accept. */
function assertRuns(schema: GraphQLSchema, examples: readonly Example[]): void {
  for (const { query, variables } of examples) {
    const document = parse(query);
    assert.deepEqual(validate(schema, document), [], query);
    const variableValues = variables === '' ? {} : JSON.parse(variables);
    const { errors = [] } = execute({ schema, document, variableValues, rootValue: {} }) as { errors?: Error[] };
    assert.deepEqual(
      errors.map(({ message }) => message).filter(message => message.includes('Variable')),
      [],
    );
  }
}

test('the bank gets a query of what needs no arguments, its stream, and its first two commands', () => {
  const schema = appSchema('apps/bank');
  const examples = examplesOf(schema);
  assert.deepEqual(titles(examples), [
    'query AccountAndTransactions',
    'subscription TransactionsLive',
    'mutation OpenAccount',
    'mutation TransferMoney',
  ]);
  assertRuns(schema, examples);
  const [query, subscription, open, transfer] = examples.map(withoutComments);
  assert.match(query ?? '', /account \{\s+iban\s+token\s+limit\s+balance\s+\}/);
  assert.match(query ?? '', /transactions\(first: 5\) \{\s+edges \{\s+cursor\s+node \{\s+id/);
  assert.match(subscription ?? '', /transactions \{\s+id\s+iban/);
  assert.match(open ?? '', /\(\$commandId: ID\)/);
  assert.match(transfer ?? '', /\$amount: Cents!/);
  assert.deepEqual(JSON.parse(examples[3]?.variables ?? ''), {
    commandId: null,
    token: '<token>',
    amount: 1,
    from: '<from>',
    to: '<to>',
    descr: '<descr>',
  });
});

test('any other app gets examples of its own, with lists, input objects, enums and defaults', () => {
  const schema = appSchema('examples/fleet');
  const examples = examplesOf(schema);
  assert.deepEqual(titles(examples), ['query MyVehicleAndVehicles', 'subscription TelemetryLive', 'mutation Dispatch']);
  assertRuns(schema, examples);
  // `priority` is left to its default, `notBefore` is not needed.
  assert.deepEqual(JSON.parse(examples[2]?.variables ?? ''), {
    commandId: null,
    vehicle: '<vehicle>',
    stops: [{ lat: 1.5, lon: 1.5 }],
    notes: null,
  });
});

test('a type that contains itself, a wide one, unions and interfaces are selected in bounds', () => {
  const wide = Array.from({ length: 200 }, (_, index) => `f${index}: Int`).join(' ');
  const schema = introspected(`
    type Query { person: Person wide: Wide }
    type Person { name: String friends: [Person!]! pet: Pet home: Place shape(of: ID!): Shape }
    union Pet = Cat | Dog
    type Cat { name: String } type Dog { name: String owner: Person }
    interface Place { town: String } type House implements Place { town: String rooms: Int }
    type Shape { area: Float }
    type Wide { ${wide} }`);
  const examples = examplesOf(schema);
  assertRuns(schema, examples);
  const text = withoutComments(examples[0] ?? { query: '', variables: '' });
  assert.match(text, /home \{\s+town\s+\}/);
  assert.doesNotMatch(text, /friends|shape/);
  assert.ok(text.split('\n').length < 60, text);
});

test('a schema whose every field needs arguments, has none of a kind, or only texts, gets what can be made of it', () => {
  const demanding = introspected(`
    type Query { thing(id: ID!, at: DateTime!, size: Metres!): Thing }
    scalar DateTime scalar Metres @scalar(as: "SafeInt")
    type Thing { id: ID! }`);
  const [example, ...others] = examplesOf(demanding);
  assert.equal(others.length, 0);
  assertRuns(demanding, example === undefined ? [] : [example]);
  assert.deepEqual(JSON.parse(example?.variables ?? ''), { id: '<id>', at: '2026-01-31T12:00:00Z', size: 1 });

  const smallest = introspected('type Query { hello: String }');
  assert.deepEqual(titles(examplesOf(smallest)), ['query Hello']);
  assertRuns(smallest, examplesOf(smallest));
});

test('a subscription that only follows a command is no example of a stream', () => {
  const schema = buildSchema(`
    type Query { a: Int }
    type Mutation { order: Int }
    type Subscription { order: Int }`);
  assert.deepEqual(titles(examplesOf(schema)), ['query A', 'mutation Order']);
});

test('a deprecated field is no example where there is another', () => {
  const schema = buildSchema(
    'type Query { old: Int @deprecated fresh: Fresh } type Fresh { a: Int b: Int @deprecated }',
  );
  const [example] = examplesOf(schema);
  assert.match(example?.query ?? '', /query Fresh \{\s+fresh \{\s+a\s+\}\s+\}/);
});
