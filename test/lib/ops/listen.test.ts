import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { listenTogether, parseAddress } from '../../../lib/ops/index.ts';

test('addresses are host:port, IPv6 hosts in brackets', () => {
  assert.deepEqual(parseAddress('127.0.0.1:80'), { host: '127.0.0.1', port: 80 });
  assert.deepEqual(parseAddress('localhost:0'), { host: 'localhost', port: 0 });
  assert.deepEqual(parseAddress('[::1]:8080'), { host: '::1', port: 8080 });
  for (const bad of ['', '80', ':80', '127.0.0.1', '127.0.0.1:', '127.0.0.1:65536', '::1:80', 'host:port']) {
    assert.throws(() => parseAddress(bad), /host:port/, bad);
  }
});

const skip = process.platform !== 'linux' && 'one socket a port';
test('while turns of the event loop take long, more than one connection is taken up in each', { skip }, async () => {
  let taken = 0;
  const open = () => createServer().on('connection', () => void taken++);
  const { servers, url } = await listenTogether('127.0.0.1:0', open);
  const port = Number(new URL(url).port);
  // The system completes them, whether they are taken up or not.
  const clients = Array.from({ length: 64 }, () => connect(port, '127.0.0.1'));
  let turns = 0;
  await new Promise<void>(resolve => {
    const turn = () => {
      if (taken === clients.length) return resolve();
      turns++;
      const end = performance.now() + 2;
      while (performance.now() < end);
      setImmediate(turn);
    };
    turn();
  });
  for (const client of clients) client.destroy();
  for (const server of servers) server.close();
  assert.ok(turns < clients.length / 2, `64 in ${turns} turns`);
});
