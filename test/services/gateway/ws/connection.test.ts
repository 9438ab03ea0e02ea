import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import type { WebSocket } from 'ws';
import type { Flow } from '../../../../services/gateway/flow.ts';
import { openConnection } from '../../../../services/gateway/ws/connection.ts';
import { runningFlow } from '../../../../services/gateway/ws/operation.ts';
import { until } from '../../../support/until.ts';

test('a subscription under an id that was used before keeps its cursor in the pings', async () => {
  const pings: Record<string, string>[] = [];
  const socket: Partial<WebSocket> = {
    OPEN: 1,
    readyState: 1,
    send: (frame: unknown) => void pings.push(JSON.parse(String(frame)).payload.cursors),
    ping() {},
  };
  const connection = openConnection({
    ...{ socket: socket as WebSocket, route: undefined, traceparent: '', onSlow() {} },
    wire: new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() }),
    ...{ bufferBytes: 1_000_000, slowTimeoutMs: 10_000, pingIntervalMs: 50 },
  });
  const flowOf = (cursor: string): Flow => {
    const over = Promise.withResolvers<void>();
    const replay = { known: Promise.resolve(), over: Promise.resolve(), isOver: () => true };
    return { cursor: () => cursor, replay, run: () => over.promise, close: () => over.resolve() };
  };
  const subscribe = (open: () => Promise<Flow>) => {
    const running = runningFlow({
      ...{ open, sink: connection.sinkOf('x'), failed() {} },
      begun: flow => connection.follow('x', flow),
      over: flow => connection.unfollow('x', flow),
      ...{ cancel() {}, ended() {} },
    });
    void running.next();
    return running;
  };
  const late = Promise.withResolvers<Flow>();
  await subscribe(() => late.promise).return?.(undefined); // completed while it is being opened
  const second = subscribe(async () => flowOf('second'));
  await until('the second is followed', () => pings.some(({ x }) => x === 'second'));
  late.resolve(flowOf('first'));
  await new Promise(resolve => setImmediate(resolve));
  pings.length = 0;
  await until('pings', () => pings.length >= 2);
  assert.deepEqual(new Set(pings.map(({ x }) => x)), new Set(['second']));
  connection.ended();
  await second.return?.(undefined);
});
