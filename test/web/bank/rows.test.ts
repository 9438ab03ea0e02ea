import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ofSnapshot,
  olderVariables,
  pageSize,
  type Rows,
  withArrival,
  withOlder,
} from '../../../web/bank/model/rows.ts';
import { transaction } from './transaction.ts';

/** A page of a connection: the transactions from `newest` down to `oldest`. */
function pageOf(newest: number, oldest: number) {
  const edges = Array.from({ length: newest - oldest + 1 }, (_, index) => ({ node: transaction(newest - index) }));
  return { edges, pageInfo: { hasNextPage: oldest > 1, endCursor: `c-${oldest}` } };
}
const numbers = ({ rows }: Rows): number[] => rows.map(row => row.transaction.changedBy);
const down = (newest: number, oldest: number): number[] =>
  Array.from({ length: newest - oldest + 1 }, (_, index) => newest - index);

test('arrivals stand on top of the snapshot, newest first, each once', () => {
  let rows = ofSnapshot(pageOf(3, 1));
  for (const n of [4, 5, 5, 3]) rows = withArrival(rows, transaction(n));
  assert.deepEqual(numbers(rows), [5, 4, 3, 2, 1]);
  assert.deepEqual(
    rows.rows.map(({ isArrival }) => isArrival),
    [true, true, false, false, false],
  );
});

test('older pages follow, and make room for themselves', () => {
  let rows = ofSnapshot(pageOf(300, 251));
  assert.deepEqual(olderVariables(rows), { first: pageSize, after: 'c-251' });
  for (const oldest of [201, 151, 101, 51, 1]) rows = withOlder(rows, pageOf(oldest + 49, oldest));
  assert.deepEqual(numbers(rows), down(300, 1));
  assert.equal(rows.hasOlder, false);
  assert.equal(rows.limit, 300);
});

test('beyond the limit the oldest rows go, and are read again when the user asks', () => {
  let rows = ofSnapshot(pageOf(50, 1));
  for (let n = 51; n <= 260; n++) rows = withArrival(rows, transaction(n));
  assert.deepEqual(numbers(rows), down(260, 61));
  assert.equal(rows.hasOlder, true);
  const variables = olderVariables(rows);
  assert.deepEqual(variables, { first: 200 + pageSize });
  rows = withOlder(rows, pageOf(260, 260 - variables.first + 1));
  assert.deepEqual(numbers(rows), down(260, 11));
  assert.deepEqual(olderVariables(rows), { first: pageSize, after: 'c-11' });
});
