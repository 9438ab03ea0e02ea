import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse, validate } from 'graphql';
import { subscriptionTo } from '../../jobs/helm-test/schema.ts';
import { compileApp } from '../../lib/app/index.ts';

const schema = `
scalar DateTime
scalar Cents @scalar(as: "SafeInt")
enum Kind { IN OUT }
type Query { none: Row @view(table: "rows") }
type Subscription {
  plain(after: DateTime @where(field: "at", op: GT)): Row! @records(topic: "rows")
  strict(
    after: DateTime! @where(field: "at", op: GT)
    kinds: [Kind!]! @where(field: "kind", op: IN)
    kind: Kind! @where(field: "kind")
    atLeast: Cents! @where(field: "amount", op: GTE)
    says: String! @where(field: "id", op: CONTAINS)
    good: Boolean! @where(field: "good")
    given: Cents! = 5 @where(field: "amount", op: LTE)
  ): Row! @records(topic: "rows")
}
type Row @table(name: "rows", topics: ["rows"], id: ["id"]) { id: ID! kind: Kind! amount: Cents! good: Boolean! at: DateTime! }`;

test('a field is asked for with no more arguments than it requires, each with a value of its type', async () => {
  const plan = await compileApp({ name: 'test', body: schema });
  const of = (field: string) => {
    const stream = plan.streams.get(field);
    assert.ok(stream);
    const asked = subscriptionTo(stream, plan);
    assert.deepEqual(validate(plan.schema, parse(asked.query)), []);
    return asked;
  };
  assert.deepEqual(of('plain'), { query: 'subscription { plain { __typename } }', variables: {} });
  assert.deepEqual(of('strict').variables, {
    after: '1970-01-01T00:00:00Z',
    kinds: [],
    kind: 'IN',
    atLeast: 0,
    says: '',
    good: false,
  });
});
