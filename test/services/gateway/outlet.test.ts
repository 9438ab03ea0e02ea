import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { openOutlet } from '../../../services/gateway/outlet.ts';
import { until } from '../../support/until.ts';

/** Two ends of a real TCP connection. */
async function connection() {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const far = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  const [near] = (await once(server, 'connection')) as [net.Socket];
  near.on('error', () => {});
  far.on('error', () => {});
  return {
    near,
    far,
    close() {
      near.destroy();
      far.destroy();
      server.close();
    },
  };
}

const chunk = Buffer.alloc(65_536);
const slow = () => assert.fail('it was not slow');

test('writes of one tick leave together', async () => {
  const { near, far, close } = await connection();
  const outlet = openOutlet(near, { bufferBytes: 1_000, slowTimeoutMs: 60_000, onSlow: slow });
  for (const text of ['a', 'b', 'c']) {
    outlet.gather();
    near.write(text);
  }
  assert.equal(near.writableLength, 3, 'nothing has left yet');
  const [data] = (await once(far, 'data')) as [Buffer];
  assert.equal(String(data), 'abc');
  close();
});

test('there is no room while the client does not take what waits, and room again when it has', async () => {
  const { near, far, close } = await connection();
  far.pause();
  const outlet = openOutlet(near, { bufferBytes: 100_000, slowTimeoutMs: 60_000, onSlow: slow });
  assert.equal(outlet.room(), undefined);
  while (near.writableLength <= 100_000) near.write(chunk);
  const room = outlet.room();
  assert.ok(room !== undefined);
  assert.equal(outlet.room(), room, 'everybody waits for the same');
  far.resume();
  await room;
  assert.equal(outlet.room(), undefined);
  close();
});

test('a client that leaves a full buffer is too slow after the time, once', async () => {
  const { near, far, close } = await connection();
  far.pause();
  let calls = 0;
  const outlet = openOutlet(near, { bufferBytes: 100_000, slowTimeoutMs: 20, onSlow: () => void calls++ });
  while (near.writableLength <= 100_000) near.write(chunk);
  void outlet.room();
  await until('it is called slow', () => calls > 0);
  while (near.writableLength <= 300_000) near.write(chunk);
  outlet.gather();
  assert.equal(calls, 1);
  close();
});

test('whoever asks on without reading is too slow at twice the budget', async () => {
  const { near, far, close } = await connection();
  far.pause();
  let calls = 0;
  const outlet = openOutlet(near, { bufferBytes: 100_000, slowTimeoutMs: 60_000, onSlow: () => void calls++ });
  while (near.writableLength <= 200_000) {
    assert.equal(calls, 0);
    outlet.gather();
    near.write(chunk);
  }
  outlet.gather();
  assert.equal(calls, 1);
  close();
});

test('who waits for room is let go when the client leaves', async () => {
  const { near, far, close } = await connection();
  far.pause();
  const outlet = openOutlet(near, { bufferBytes: 100_000, slowTimeoutMs: 60_000, onSlow: slow });
  while (near.writableLength <= 100_000) near.write(chunk);
  const room = outlet.room();
  near.destroy();
  await room;
  assert.equal(outlet.room(), undefined);
  close();
});
