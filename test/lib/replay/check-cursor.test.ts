import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, PenstockError } from '../../../lib/errors.ts';
import { type CursorUse, checkCursor } from '../../../lib/replay/check-cursor.ts';
import { openCursorCodec } from '../../../lib/replay/cursor.ts';
import type { Position } from '../../../lib/replay/types.ts';

const codec = openCursorCodec(`k1:${Buffer.alloc(32, 7).toString('base64')}`);
const at = (topic: string, partition: number) => ({ topic, partition, offset: 9, timestampMs: 1_000 });
const stream: Position = {
  kind: 'stream',
  userKey: 'alice',
  binding: 'transactions({})',
  clusterId: 'c1',
  partitions: [at('payments', 3)],
  sequences: { payments: 4 },
  topicMarks: { payments: 'q2Lr8mVh' },
};
const view: Position = {
  ...stream,
  kind: 'view',
  binding: '',
  partitions: [at('accounts', 0), at('payments', 0), at('payments', 1)],
  sequences: { payments: 4, accounts: 2 },
  topicMarks: { payments: 'q2Lr8mVh', accounts: 'AAAAAAAB' },
};
const use: CursorUse = { userKey: 'alice', binding: 'transactions({})', topic: 'payments', clusterId: 'c1' };

const refused: readonly [string, Position, CursorUse, ErrorCode][] = [
  ['of another user', stream, { ...use, userKey: 'bob' }, 'CURSOR_INVALID'],
  ['of a view of another user', view, { ...use, userKey: 'bob' }, 'CURSOR_INVALID'],
  ['of another field or other arguments', stream, { ...use, binding: 'ledger({})' }, 'CURSOR_INVALID'],
  ['over another topic', stream, { ...use, topic: 'accounts' }, 'CURSOR_INVALID'],
  ['of a view over other topics', view, { ...use, topic: 'orders' }, 'CURSOR_INVALID'],
  ['of another cluster', stream, { ...use, clusterId: 'c2' }, 'CURSOR_EXPIRED'],
  ['of a view of another cluster', view, { ...use, clusterId: 'c2' }, 'CURSOR_EXPIRED'],
  ['of another user and another cluster', stream, { ...use, userKey: 'bob', clusterId: 'c2' }, 'CURSOR_INVALID'],
  ['of another field and another cluster', stream, { ...use, binding: 'x', clusterId: 'c2' }, 'CURSOR_INVALID'],
  ['without any position', { ...view, partitions: [] }, use, 'CURSOR_INVALID'],
  ['whose user is spelt like a binding', { ...stream, userKey: use.binding, binding: 'alice' }, use, 'CURSOR_INVALID'],
];
for (const [name, position, usedFor, code] of refused) {
  test(`a cursor ${name} is ${code}`, () => {
    assert.throws(
      () => checkCursor(codec.parse(codec.format(position)), usedFor),
      (error: unknown) => error instanceof PenstockError && error.code === code,
    );
  });
}

test('a stream goes on from its own cursor', () => {
  assert.deepEqual(checkCursor(codec.parse(codec.format(stream)), use), {
    partitions: [at('payments', 3)],
    sequences: { payments: 4 },
    topicMarks: { payments: 'q2Lr8mVh' },
  });
});

test("a stream over one of a view's topics goes on from the view's cursor, whatever its arguments", () => {
  assert.deepEqual(checkCursor(codec.parse(codec.format(view)), { ...use, binding: 'anything' }), {
    partitions: [at('payments', 0), at('payments', 1)],
    sequences: { payments: 4 },
    topicMarks: { payments: 'q2Lr8mVh' },
  });
});

test('a cursor that does not know the sequence says nothing about it', () => {
  assert.deepEqual(checkCursor(codec.parse(codec.format({ ...stream, sequences: {} })), use).sequences, {});
});
