import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { isFree, openPorts } from '../../dev/stack/ports.ts';

async function listening(port: number) {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

test('a name keeps its port, names do not share one', async () => {
  const ports = openPorts({}, []);
  const [redis, postgres] = await Promise.all([ports.take('redis'), ports.take('postgres')]);
  assert.notEqual(redis, postgres);
  assert.equal(await ports.take('redis'), redis);
  assert.equal(await openPorts(ports.all(), []).take('redis'), redis);
});

test('names that ask at the same time get different ports, even when chance offers the same', async () => {
  const offers = [0.5, 0.5, 0.5, 0.25, 0.75];
  const ports = openPorts({}, [], () => offers.shift() ?? Math.random());
  const taken = await Promise.all(['a', 'b', 'c'].map(name => ports.take(name)));
  assert.equal(new Set(taken).size, 3);
});

test('a kept port that somebody else has taken is given up', async () => {
  const port = await openPorts({}, []).take('free');
  const server = await listening(port);
  assert.equal(await isFree(port), false);
  assert.notEqual(await openPorts({ redis: port }, []).take('redis'), port);
  server.close();
});

test('a reserved port is nobody else’s', async () => {
  assert.notEqual(await openPorts({ redis: 20_500 }, [20_500]).take('redis'), 20_500);
});

test('ports lie below those that the system gives to outgoing connections', async () => {
  const ports = openPorts({}, []);
  for (let i = 0; i < 50; i++) {
    const port = await ports.take(`p${i}`);
    assert.ok(port >= 20_000 && port < 32_000, String(port));
  }
});
