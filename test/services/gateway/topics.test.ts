import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemsOf } from '../../../services/gateway/topics.ts';
import { compiled } from '../../support/schemas.ts';

const { schema } = compiled(`type Query { _: Boolean }
type Mutation {
  go: Done! @command(topic: "orders", type: "go", feedback: "verdicts")
}
type Subscription {
  done: Done! @records(topic: "verdicts")
}
type Done { ok: Boolean! }
`);

test('topics that are there, all with the same partition count, are fine', () => {
  const counts = new Map([
    ['orders', 4],
    ['verdicts', 4],
  ]);
  assert.deepEqual(problemsOf(schema, counts), []);
});

test('a missing topic is refused where the schema names it first', () => {
  const counts = new Map([
    ['orders', undefined],
    ['verdicts', undefined],
  ]);
  assert.deepEqual(problemsOf(schema, counts), [
    { file: 'app.graphql', line: 3, column: 29, message: 'topic "orders" does not exist' },
    { file: 'app.graphql', line: 3, column: 61, message: 'topic "verdicts" does not exist' },
  ]);
});

test('a topic with another partition count than the first is refused', () => {
  const counts = new Map([
    ['orders', 4],
    ['verdicts', 8],
  ]);
  assert.deepEqual(problemsOf(schema, counts), [
    {
      file: 'app.graphql',
      line: 3,
      column: 61,
      message:
        'topic "verdicts" has 8 partitions, but "orders" has 4: they must be the same; npm run grow-partitions gives all topics as many (docs/growing-topics.md)',
    },
  ]);
});
