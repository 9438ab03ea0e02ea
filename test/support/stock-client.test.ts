import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { openStockUser } from './stock-client.ts';
import { until } from './until.ts';

test('a client asks again where to go when a router breaks off or has no answer', async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    if (asked.length === 1) request.socket.destroy();
    else if (asked.length === 2) response.writeHead(503).end('{}');
    else response.end(JSON.stringify({ url: `ws://127.0.0.1:${port}/graphql` }));
  });
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'graphql-transport-ws' });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  let arrived = 0;
  sockets.on('connection', socket => {
    arrived++;
    socket.once('message', () => socket.send('{"type":"connection_ack"}'));
  });
  const user = await openStockUser(`http://127.0.0.1:${port}`, 'alice', { accessToken: 'any' });
  try {
    user.subscribe({ query: 'subscription { anything }' }, { next() {} });
    await until('the client to come', () => arrived === 1);
    assert.deepEqual(asked, ['/route', '/route', '/route']);
  } finally {
    await user.close();
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
  }
});
