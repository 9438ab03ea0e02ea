import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ExecutionResult, execute, parse } from 'graphql';
import { allows } from '../../../lib/app/index.ts';
import { PenstockError } from '../../../lib/errors.ts';
import { compiled } from '../../support/schemas.ts';

const plan = compiled(`
  type Query {
    row: Row @view(table: "rows")
    page(first: Int, after: String): Rows @view(table: "secrets")
  }
  type Row @table(name: "rows", topics: ["t"], id: ["id"]) {
    id: ID!
    salary: Int @requiresRole(anyOf: ["boss", "auditor"])
    grade: Int! @requiresRole(anyOf: ["boss"])
    secret: Secret
    secrets: [Secret!]
  }
  type Secret @table(name: "secrets", topics: ["t"], id: ["id"]) @requiresRole(anyOf: ["spy"]) {
    id: ID!
    code: Int @requiresRole(anyOf: ["chief"])
  }
  type Rows { edges: [Edge!]! pageInfo: PageInfo! }
  type Edge { cursor: String! node: Secret }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
`);

const row = { id: '1', salary: 5, grade: 2, secret: { id: 's', code: 7 }, secrets: [{ id: 's', code: 7 }] };
const page = { edges: [{ cursor: 'c', node: row.secret }], pageInfo: { hasNextPage: false, endCursor: 'c' } };

function ask(query: string, context: unknown): ExecutionResult {
  const result = execute({
    schema: plan.schema,
    document: parse(query),
    rootValue: { row, page },
    contextValue: context,
  });
  assert.ok(!(result instanceof Promise));
  return result;
}

/** Data as plain JSON, and the path and code of each error. */
function told(query: string, ...roles: string[]): [unknown, string[]] {
  const { data, errors } = ask(query, { caller: { roles } });
  const refusals = (errors ?? []).map(({ path, originalError }) => {
    assert.ok(originalError instanceof PenstockError);
    return `${path?.join('.')}: ${originalError.code}`;
  });
  return [JSON.parse(JSON.stringify(data)), refusals];
}

test('a field that needs a role is null with an error for whoever has none of them', () => {
  assert.deepEqual(told('{ row { id salary } }'), [{ row: { id: '1', salary: null } }, ['row.salary: FORBIDDEN']]);
  assert.deepEqual(told('{ row { id salary } }', 'clerk'), [
    { row: { id: '1', salary: null } },
    ['row.salary: FORBIDDEN'],
  ]);
  assert.deepEqual(told('{ row { salary } }', 'auditor'), [{ row: { salary: 5 } }, []]);
});

test('a non-null one takes the object around it with it', () => {
  assert.deepEqual(told('{ row { id grade } }', 'auditor'), [{ row: null }, ['row.grade: FORBIDDEN']]);
  assert.deepEqual(told('{ row { id grade } }', 'boss'), [{ row: { id: '1', grade: 2 } }, []]);
});

test('a type that needs a role is guarded wherever it is reached: as a field, in a list, in a connection', () => {
  assert.deepEqual(told('{ row { secret { id } } }'), [{ row: { secret: null } }, ['row.secret: FORBIDDEN']]);
  assert.deepEqual(told('{ row { secret { __typename } } }'), [{ row: { secret: null } }, ['row.secret: FORBIDDEN']]);
  assert.deepEqual(told('{ row { secrets { id } } }'), [{ row: { secrets: null } }, ['row.secrets: FORBIDDEN']]);
  assert.deepEqual(told('{ page { edges { node { id } } } }'), [
    { page: { edges: [{ node: null }] } },
    ['page.edges.0.node: FORBIDDEN'],
  ]);
  assert.deepEqual(told('{ page { edges { node { id } } } }', 'spy'), [
    { page: { edges: [{ node: { id: 's' } }] } },
    [],
  ]);
});

test("the type's role and the field's role must both be held", () => {
  const query = '{ row { secret { id code } } }';
  assert.deepEqual(told(query, 'spy'), [{ row: { secret: { id: 's', code: null } } }, ['row.secret.code: FORBIDDEN']]);
  assert.deepEqual(told(query, 'chief'), [{ row: { secret: null } }, ['row.secret: FORBIDDEN']]);
  assert.deepEqual(told(query, 'spy', 'chief'), [{ row: { secret: { id: 's', code: 7 } } }, []]);
});

test('without a caller in the context, nothing that needs a role is shown', () => {
  for (const context of [undefined, null, {}, { caller: null }, { caller: {} }, { caller: { roles: 'boss' } }]) {
    assert.equal(ask('{ row { salary } }', context).errors?.length, 1);
  }
});

test('allows: one role of anyOf, and one of each list beside it', () => {
  const plans = { anyOf: ['a', 'b'], alsoAnyOf: [['c'], ['d', 'e']] };
  const verdicts = [['a', 'c', 'd'], ['b', 'c', 'e', 'x'], ['a', 'c'], ['c', 'd'], ['a', 'd'], []].map(roles =>
    allows(plans, { roles }),
  );
  assert.deepEqual(verdicts, [true, true, false, false, false, false]);
  assert.equal(allows({ anyOf: [], alsoAnyOf: [] }, { roles: [] }), true);
  const view = plan.views.get('page');
  assert.ok(view);
  assert.deepEqual([allows(view, { roles: [] }), allows(view, { roles: ['spy'] })], [false, true]);
});
