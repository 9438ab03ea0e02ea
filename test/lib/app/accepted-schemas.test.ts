import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { loadApp, type Shape, type ValueKind } from '../../../lib/app/index.ts';
import { compiled } from '../../support/schemas.ts';

const folders = globSync('{apps,examples}/*/schema.graphql').map(file => dirname(file));

test('there are at least two apps to compile', () => assert.ok(folders.length >= 2, folders.join()));

for (const folder of folders) {
  test(`${folder} compiles`, async () => {
    const plan = await loadApp(folder);
    assert.ok(plan.streams.size > 0 && plan.views.size > 0 && plan.tables.size > 0 && plan.commands.size > 0);
  });
}

test("the bank's plan says what the contract says", async () => {
  const plan = await loadApp('apps/bank/schema.graphql');
  assert.deepEqual(
    plan.topics.map(({ name, usedAs }) => [name, ...[...usedAs].sort()]),
    [
      ['commands', 'command'],
      ['account_creation_feedback', 'feedback', 'table'],
      ['money_transfer_feedback', 'feedback'],
      ['balance_changed', 'records', 'table'],
    ],
  );
  assert.deepEqual(
    [...plan.commands].map(([name, { topic, type, feedback, timeoutMs }]) => [name, topic, type, feedback, timeoutMs]),
    ['Mutation', 'Subscription'].flatMap(parent => [
      [`${parent}.openAccount`, 'commands', 'openAccount', 'account_creation_feedback', 10_000],
      [`${parent}.transferMoney`, 'commands', 'transferMoney', 'money_transfer_feedback', 10_000],
    ]),
  );
  assert.deepEqual(
    [...plan.streams.values()].map(({ field, topic, scope, anyOf }) => [field, topic, scope, anyOf]),
    [
      ['transactions', 'balance_changed', 'OWN', []],
      ['ledger', 'balance_changed', 'ALL', ['auditor']],
    ],
  );
  const filters = [...(plan.streams.get('transactions')?.filters ?? [])];
  assert.deepEqual(
    filters.map(({ argument, field, op }) => `${argument}: ${field.name} ${op}`),
    [
      'iban: iban EQ',
      'direction: direction EQ',
      'minAmount: changedBy GTE',
      'maxAmount: changedBy LTE',
      'descrIncludes: descr CONTAINS',
    ],
  );
  assert.deepEqual(
    [...plan.views.values()].map(({ field, table, kind, anyOf, filters: by }) => [
      field,
      table.name,
      kind,
      anyOf.join(),
      by.map(({ argument }) => argument).join(),
    ]),
    [
      ['account', 'account', 'row', '', ''],
      ['transaction', 'transaction', 'row', '', 'id'],
      ['transactions', 'transaction', 'connection', '', 'iban'],
      ['allLastTransactions', 'last_transaction', 'connection', 'auditor', ''],
    ],
  );
  const account = plan.tables.get('account');
  assert.deepEqual(account?.topics, ['account_creation_feedback', 'balance_changed']);
  assert.deepEqual([account?.id, account?.owner], [['iban'], '_key']);
  assert.deepEqual(
    account?.shape.fields.map(({ name, source, nonNull, value }) => [name, source, nonNull, value.kind]),
    [
      ['iban', 'iban', true, 'ID'],
      ['token', 'token', true, 'String'],
      ['limit', 'limit', true, 'SafeInt'],
      ['balance', 'newBalance', true, 'SafeInt'],
    ],
  );
});

test('a type of many kinds compiles to its shape: nested, lists, enums, the envelope, scalars of other names', async () => {
  const plan = await loadApp('examples/fleet');
  const shape = plan.streams.get('telemetry')?.shape;
  assert.ok(shape);
  assert.deepEqual(
    shape.fields.map(({ name, source, envelope, nonNull, value }) => [name, source, envelope, nonNull, words(value)]),
    [
      ['vehicle', '_key', true, true, 'ID'],
      ['state', 'state', false, true, 'PARKED|DRIVING|CHARGING|IN_SERVICE'],
      ['speedKmh', 'speedKmh', false, true, 'Float'],
      ['charging', 'charging', false, false, 'Boolean'],
      ['position', 'position', false, true, 'Position'],
      ['odometer', 'odometer', false, false, 'SafeInt'],
      ['temperatures', 'temperatures', false, false, '[Float]'],
      ['measuredAt', 'measuredAt', false, true, 'DateTime'],
      ['receivedAt', '_timestamp', true, true, 'DateTime'],
      ['diagnostics', 'diagnostics', false, false, 'JSON'],
    ],
  );
});

test('a type may contain itself where it need not, and its shape then does', () => {
  const plan = compiled(`
    type Query { _: Boolean }
    type Subscription { tree: Tree! @records(topic: "trees") }
    type Tree { left: Tree right: Tree others: [Tree!]! }
  `);
  const shape = plan.streams.get('tree')?.shape;
  assert.deepEqual(
    shape?.fields.map(({ value }) => words(value)),
    ['Tree', 'Tree', '[Tree!]'],
  );
  assert.equal(inner(shape?.fields[0]?.value), shape);
});

test('root types may have other names, and types may be extended', () => {
  const plan = compiled(`
    schema { query: Reads mutation: Writes subscription: Follows }
    type Reads { row: Row @view(table: "rows") }
    type Writes
    extend type Writes { put(size: Int!): Done @command(topic: "puts", type: "put", feedback: "done") }
    type Follows { put(size: Int!): Done @command(topic: "puts", type: "put", feedback: "done") rows: Row @records(topic: "rows") }
    type Row { id: ID! }
    extend type Row @table(name: "rows", topics: ["rows"], id: ["id"]) { size: Int @from(field: "s") }
    type Done { ok: Boolean! }
  `);
  assert.deepEqual([...plan.commands.keys()], ['Mutation.put', 'Subscription.put']);
  assert.deepEqual(
    plan.views.get('row')?.shape.fields.map(({ source }) => source),
    ['id', 's'],
  );
});

test('topics come in the order of the text, each with all its uses; a command topic may be a source', () => {
  const plan = compiled(`
    type Row @table(name: "rows", topics: ["z", "a"], id: ["id"]) { id: ID! }
    type Query { _: Boolean }
    type Subscription { rows: Row @records(topic: "orders") }
    type Mutation { order: Row @command(topic: "orders", type: "o", feedback: "a") }
  `);
  assert.deepEqual(
    plan.topics.map(({ name, usedAs }) => `${name}: ${[...usedAs].sort().join()}`),
    ['z: table', 'a: feedback,table', 'orders: command,records'],
  );
});

test('without views, a nullable `_` satisfies GraphQL', () => {
  const plan = compiled('type Query { _: Boolean } type Subscription { a: A @records(topic: "t") } type A { a: Int }');
  assert.equal(plan.views.size, 0);
});

test('roles on the operation, its type and the root type are kept apart', () => {
  const plan = compiled(`
    type Query { rows: [Row!]! @view(table: "rows") all: [Row!]! @view(table: "rows") @requiresRole(anyOf: ["a", "b"]) }
    type Mutation @requiresRole(anyOf: ["writer"]) { put: Row @command(topic: "c", type: "put", feedback: "f") }
    type Row @table(name: "rows", topics: ["t"], id: ["id"]) @requiresRole(anyOf: ["reader"]) { id: ID! }
  `);
  const roles = (of: { anyOf: readonly string[]; alsoAnyOf: readonly (readonly string[])[] } | undefined) => [
    of?.anyOf,
    of?.alsoAnyOf,
  ];
  assert.deepEqual(roles(plan.views.get('rows')), [[], [['reader']]]);
  assert.deepEqual(roles(plan.views.get('all')), [['a', 'b'], [['reader']]]);
  assert.deepEqual(roles(plan.commands.get('Mutation.put')), [[], [['writer'], ['reader']]]);
});

test("an argument without @where compares the row's field of its name, paging arguments aside", async () => {
  const plan = await loadApp('examples/fleet');
  assert.deepEqual(
    plan.views.get('alerts')?.filters.map(({ argument, field, op }) => `${argument}: ${field.name} ${op}`),
    ['vehicle: vehicle EQ', 'severities: severity IN'],
  );
});

function words(value: ValueKind): string {
  if (value.kind === 'list') return `[${words(value.of)}${value.nonNull ? '!' : ''}]`;
  if (value.kind === 'object') return value.shape.typeName;
  return value.kind === 'enum' ? value.values.join('|') : value.kind;
}

function inner(value: ValueKind | undefined): Shape | undefined {
  return value?.kind === 'object' ? value.shape : undefined;
}
