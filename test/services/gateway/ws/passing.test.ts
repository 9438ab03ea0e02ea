import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSchema, parse } from 'graphql';
import { type ErrorCode, PenstockError } from '../../../../lib/errors.ts';
import { openErrorFormatter } from '../../../../services/gateway/graphql/errors.ts';
import type { Connection } from '../../../../services/gateway/ws/connection.ts';
import { openProtocol } from '../../../../services/gateway/ws/protocol.ts';
import { quietOps } from '../../../support/quiet-ops.ts';
import { until } from '../../../support/until.ts';

const caller = { userKey: 'alice', roles: [], expiresAtMs: Number.POSITIVE_INFINITY, accessTokenHash: 'hash' };

/** A connection whose subscriptions are all refused with this code, or fail with this error: what it sends, and how it is closed. */
async function refusing(why: ErrorCode | Error, extensions = {}) {
  const error = why instanceof Error ? why : new PenstockError(why, 'no', extensions);
  const sent: { type: string; payload?: unknown }[] = [];
  const closed: number[] = [];
  const protocol = openProtocol({
    engine: {
      schema: buildSchema('type Query { n: Int } type Subscription { n: Int }'),
      prepare: request => ({ request, document: parse(request.query), type: 'subscription' as never }),
      runsCommand: () => false,
      execute: async () => ({}),
      subscribe: () => Promise.reject(error),
    },
    format: openErrorFormatter(quietOps().log),
    maxOperationIdLength: 128,
    refused: () => {},
    maxOperations: 10,
    tracer: undefined,
    welcome: async () => caller,
  });
  const connection: Connection = {
    route: undefined,
    traceparent: '',
    caller: undefined,
    operations: new Set(),
    // As a WebSocket that is closing.
    send: frame => void (closed.length === 0 && sent.push(JSON.parse(frame))),
    close: closeCode => void closed.push(closeCode),
    afterEvent() {},
    announceMove() {},
    sinkOf: () => ({ next() {}, room: () => undefined }),
    follow() {},
    unfollow() {},
    ended() {},
  };
  let receive: (text: string) => Promise<void> = async () => {};
  protocol.opened(
    {
      protocol: 'graphql-transport-ws',
      send: connection.send,
      close: closeCode => connection.close(closeCode ?? 1000, ''),
      onMessage: handle => {
        receive = handle;
      },
    },
    connection,
  );
  await receive('{"type":"connection_init"}');
  await receive('{"id":"x","type":"subscribe","payload":{"query":"subscription { n }"}}');
  return { sent, closed };
}

test('a subscription that cannot be served now closes with 1013: an error message would be final for a stock client', async () => {
  const { sent, closed } = await refusing('UNAVAILABLE');
  await until('it is closed', () => closed.length > 0);
  assert.deepEqual(closed, [1013]);
  assert.deepEqual(
    sent.map(({ type }) => type),
    ['connection_ack'],
  );
});

test('nor can one for which too many replays wait: it closes with 1013 as well', async () => {
  const { closed } = await refusing('LIMIT_EXCEEDED', { limit: 'PENSTOCK_REPLAY_MAX_WAITING' });
  await until('it is closed', () => closed.length > 0);
  assert.deepEqual(closed, [1013]);
});

test('one that will never be served gets its error, and the connection stays', async () => {
  const { sent, closed } = await refusing('CURSOR_INVALID');
  await until('the error', () => sent.length > 1);
  assert.deepEqual(
    sent.map(({ type }) => type),
    ['connection_ack', 'error'],
  );
  assert.deepEqual(closed, []);
});

test('what a subscription fails with is masked, as every error that is ours', async () => {
  const { sent } = await refusing(new TypeError('postgres://user:secret@host'));
  const failed = await until('the error', () => sent.find(({ type }) => type === 'error'));
  assert.deepEqual(failed.payload, [
    { message: 'a defect on our side; the details are in the log', extensions: { code: 'INTERNAL' } },
  ]);
});
