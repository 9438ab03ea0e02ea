import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { openOutlet, openPatience } from '../../../services/gateway/outlet.ts';
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
    outlet.gather(1);
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

test('what short writes cost besides their bytes counts in the budget', async () => {
  const { near, far, close } = await connection();
  far.pause();
  const fill = (outlet: ReturnType<typeof openOutlet>, text: string) => {
    let writes = 0;
    for (; outlet.room() === undefined; writes++) {
      outlet.gather(text.length);
      near.write(text);
    }
    return writes;
  };
  const outlet = openOutlet(near, { bufferBytes: 350_000, slowTimeoutMs: 60_000, onSlow: slow });
  assert.equal(fill(outlet, 'x'.repeat(100)), 1_001, 'a write of 100 bytes counts as 350');
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
  outlet.gather(1);
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
    outlet.gather(1);
    near.write(chunk);
  }
  outlet.gather(1);
  assert.equal(calls, 1);
  close();
});

test('a client that takes bytes all the time is not slow, however long the whole takes it', async () => {
  const { near, far, close } = await connection();
  const outlet = openOutlet(near, { bufferBytes: 100_000, slowTimeoutMs: 200, onSlow: slow });
  const sizeBytes = 67_108_864; // more than the kernel takes
  near.write(Buffer.alloc(sizeBytes));
  let took = 0;
  far.pause();
  const sips = setInterval(() => {
    took += far.read(1_048_576)?.length ?? far.read()?.length ?? 0;
  }, 20);
  const room = outlet.room();
  assert.ok(room !== undefined);
  await room;
  clearInterval(sips);
  assert.ok(took > 0);
  close();
});

test('one large write says nothing about the client', async () => {
  const { near, far, close } = await connection();
  far.pause();
  const outlet = openOutlet(near, { bufferBytes: 100_000, slowTimeoutMs: 60_000, onSlow: slow });
  const large = Buffer.alloc(67_108_864);
  outlet.gather(large.length);
  near.write(large);
  assert.ok(near.writableLength > 300_000);
  for (let times = 0; times < 10; times++) {
    outlet.gather(1);
    near.write('p');
  }
  close();
});

test('patience is over after four looks without a share of the budget taken', () => {
  const begin = { leftBytes: 1_000, underWayBytes: 500 };
  const still = { leftBytes: 1_000, underWayBytes: 401 };
  const looksAt = (...seen: { leftBytes: number; underWayBytes: number }[]) => {
    const patience = openPatience(100, begin);
    return seen.map(now => patience.isOver(now));
  };
  assert.deepEqual(looksAt(still, still, still, still), [false, false, false, true], 'too little');
  const share = { leftBytes: 1_000, underWayBytes: 400 };
  assert.deepEqual(looksAt(begin, begin, begin, share, share, share, share, share).indexOf(true), 7, 'a share');
  const whole = { leftBytes: 1_001, underWayBytes: 900 };
  assert.deepEqual(looksAt(begin, begin, begin, whole, whole, whole, whole, whole).indexOf(true), 7, 'a whole write');
  const drops = Array.from({ length: 8 }, (_, index) => ({ leftBytes: 1_000, underWayBytes: 500 - 30 * (index + 1) }));
  assert.equal(looksAt(...drops).indexOf(true), -1, 'shares add up over the looks');
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

test('a client that leaves one large answer lying is too slow, although nobody asks for room', async () => {
  const { near, far, close } = await connection();
  far.pause();
  let calls = 0;
  const outlet = openOutlet(near, { bufferBytes: 100_000, slowTimeoutMs: 40, onSlow: () => void calls++ });
  outlet.gather(30_000_000);
  near.write(Buffer.alloc(30_000_000));
  await until('it is too slow', () => calls === 1);
  close();
});
