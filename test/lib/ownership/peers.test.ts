import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openPeerPort } from '../../../lib/ownership/peer-port.ts';
import { deadMember, type Eviction, nextEviction, type PeerEnd } from '../../../lib/ownership/peer-verdict.ts';
import { watchPeers } from '../../../lib/ownership/peer-watch.ts';
import { freePort } from '../../support/free-ports.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { kafkaAddress, kafkaConfig } from '../../support/scratch-kafka.ts';
import { startScratchRedis } from '../../support/scratch-redis.ts';
import { until } from '../../support/until.ts';
import { openGateways } from './gateways.ts';

const who = (memberId: string) => ({ memberId, incarnation: 'i1' });
const cases: readonly [string, PeerEnd, string | undefined][] = [
  ['whose port is closed now is dead', { said: who('m1'), leaving: false, again: { kind: 'refused' } }, 'm1'],
  [
    'whose port is another’s now is dead',
    { said: who('m1'), leaving: false, again: { kind: 'connected', incarnation: 'i2' } },
    'm1',
  ],
  [
    'that answers as before lives',
    { said: who('m1'), leaving: false, again: { kind: 'connected', incarnation: 'i1' } },
    undefined,
  ],
  ['that said bye has left by itself', { said: who('m1'), leaving: true, again: { kind: 'refused' } }, undefined],
  [
    'that has been silent for long is dead',
    { said: who('m1'), leaving: false, again: { kind: 'silent', forMs: 2_000 } },
    'm1',
  ],
  [
    'that has been silent for a moment may live',
    { said: who('m1'), leaving: false, again: { kind: 'silent', forMs: 1_999 } },
    undefined,
  ],
  [
    'that said bye and is silent has left',
    { said: who('m1'), leaving: true, again: { kind: 'silent', forMs: 9_999 } },
    undefined,
  ],
  ['that never said who it is is nobody', { said: undefined, leaving: false, again: { kind: 'refused' } }, undefined],
];
for (const [name, end, expected] of cases)
  test(`a peer ${name}`, () => assert.equal(deadMember(end, 2_000)?.memberId, expected));

/** Short, for tests; a real one is seconds. */
const silenceMs = 400;

interface MortalPeer {
  port: number;
  say(memberId: string): void;
  /** Loses its connections, and takes new ones without a word. */
  falter(): Promise<void>;
  /** Connections taken without a word. */
  silent(): number;
  /** All connections so far. */
  connections(): number;
  /** Keeps its connections, takes new ones, and says nothing any more. */
  fallSilent(): void;
  die(): Promise<void>;
}

/** A peer port that can die as a process does. */
async function mortal(port: number, memberId: string, incarnation: string = randomUUID()): Promise<MortalPeer> {
  const sockets = new Set<Socket>();
  let faltering = false;
  let silent = 0;
  let connections = 0;
  const server: Server = createServer(socket => {
    sockets.add(socket);
    connections += 1;
    socket.on('error', () => undefined);
    if (faltering) silent += 1;
    else socket.write(`incarnation ${incarnation}\n${memberId}\n`);
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: address === null || typeof address === 'string' ? 0 : address.port,
    say(id) {
      for (const socket of sockets) socket.write(`${id}\n`);
    },
    async falter() {
      faltering = true;
      for (const socket of sockets) socket.destroy();
      sockets.clear();
    },
    silent: () => silent,
    connections: () => connections,
    fallSilent() {
      faltering = true;
    },
    async die() {
      const closed = new Promise(resolve => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function watching(t: TestContext) {
  const evicted: string[] = [];
  const dead: string[] = [];
  const gone: number[] = [];
  const watch = watchPeers({
    silenceMs,
    evict: async memberId => void evicted.push(memberId),
    onDead: peer => void dead.push(peer),
    onGone: () => void gone.push(evicted.length),
    log: quietOps().log,
  });
  t.after(() => watch.close());
  return { evicted, dead, gone, watch };
}

test('a peer that dies is put out of the group, one that leaves is not', async t => {
  const { evicted, watch } = watching(t);
  const leaver = await openPeerPort({ listen: '127.0.0.1:0', probeIntervalMs: silenceMs / 4 });
  leaver.say('leaver');
  const victim = await mortal(0, 'victim');
  watch.follow([leaver.address, `127.0.0.1:${victim.port}`]);
  await until('both are watched', () => watch.watched() === 2);
  await leaver.close();
  await leaver.close();
  await until('the leaver is gone', () => watch.watched() === 1);
  await victim.die();
  await until('the victim is out', () => evicted.length > 0);
  assert.deepEqual(evicted, ['victim']);
});

test('a peer under a new member id is put out under that one', async t => {
  const { evicted, watch } = watching(t);
  const victim = await mortal(0, 'first id');
  watch.follow([`127.0.0.1:${victim.port}`]);
  await until('it is watched', () => watch.watched() === 1);
  victim.say('second id');
  victim.say('third id');
  await victim.die();
  await until('it is out', () => evicted.length > 0);
  assert.deepEqual(evicted, ['third id']);
});

test('a process that died is put out when another has taken its port, and so is that one as soon as it dies', async t => {
  const { evicted, watch } = watching(t);
  const first = await mortal(await freePort(), 'first');
  watch.follow([`127.0.0.1:${first.port}`]);
  await until('it is watched', () => watch.watched() === 1);
  first.say('first, still');
  const [second] = await Promise.all([first.die().then(() => mortal(first.port, 'second'))]);
  await until('the first is out', () => evicted.length === 1);
  await until('the second is watched', () => watch.watched() === 1);
  await second.die();
  await until('the second is out', () => evicted.length === 2);
  assert.deepEqual(evicted, ['first, still', 'second']);
});

test('a process that was put out by mistake is not put out again so soon, although it has another member id', async t => {
  const { evicted, watch } = watching(t);
  const lively = randomUUID();
  const first = await mortal(await freePort(), 'first', lively);
  watch.follow([`127.0.0.1:${first.port}`]);
  await until('it is watched', () => watch.watched() === 1);
  await first.die();
  await until('it is out', () => evicted.length === 1);
  const again = await mortal(first.port, 'rejoined', lively);
  await until('it is watched again', () => watch.watched() === 1);
  await again.die();
  // Who has gone before is judged before who comes then is known.
  await until('it is missed', () => watch.watched() === 0);
  const other = await mortal(first.port, 'other');
  await until('another process is watched there', () => watch.watched() === 1);
  await other.die();
  await until('that one is out', () => evicted.length > 1);
  assert.deepEqual(evicted, ['first', 'other']);
});

test('a dying peer that takes one more connection before its port goes is put out all the same', async t => {
  const { evicted, watch } = watching(t);
  const victim = await mortal(0, 'victim');
  watch.follow([`127.0.0.1:${victim.port}`]);
  await until('it is watched', () => watch.watched() === 1);
  await victim.falter();
  await until('it has taken another connection', () => victim.silent() > 0);
  await victim.die();
  await until('it is out', () => evicted.length > 0);
  assert.deepEqual(evicted, ['victim']);
});

test('who cannot be put out at once is tried again', async t => {
  const tries: string[] = [];
  const watch = watchPeers({
    silenceMs,
    log: quietOps().log,
    async evict(memberId) {
      tries.push(memberId);
      if (tries.length < 3) throw new Error('the coordinator is busy');
    },
  });
  t.after(() => watch.close());
  const victim = await mortal(0, 'victim');
  watch.follow([`127.0.0.1:${victim.port}`]);
  await until('it is watched', () => watch.watched() === 1);
  await victim.die();
  await until('it is out', () => tries.length === 3);
});

test('a peer that is not followed any more may die unnoticed', async t => {
  const { evicted, watch } = watching(t);
  const [one, two] = [await mortal(0, 'one'), await mortal(0, 'two')];
  watch.follow([`127.0.0.1:${one.port}`, `127.0.0.1:${two.port}`]);
  await until('both are watched', () => watch.watched() === 2);
  watch.follow([`127.0.0.1:${two.port}`]);
  await one.die();
  await two.die();
  await until('the other is out', () => evicted.length > 0);
  assert.deepEqual(evicted, ['two']);
});

test('a peer that is silent for long, and does not answer a new connection either, is put out of the group', async t => {
  const { evicted, dead, watch } = watching(t);
  const port = await openPeerPort({ listen: '127.0.0.1:0', probeIntervalMs: silenceMs / 4 });
  port.say('lively');
  t.after(() => port.close());
  // Never a sign of life after its id.
  const mute = await mortal(0, 'mute');
  t.after(() => mute.die());
  watch.follow([port.address, `127.0.0.1:${mute.port}`]);
  await until('both are watched', () => watch.watched() === 2);
  mute.fallSilent();
  await until('it is out', () => evicted.length > 0);
  assert.deepEqual(evicted, ['mute']);
  assert.deepEqual(dead, [`127.0.0.1:${mute.port}`]);
  assert.equal(watch.watched(), 1);
});

test('a peer that was slow, but answers a new connection, stays', async t => {
  const { evicted, watch } = watching(t);
  const slow = await mortal(0, 'slow');
  t.after(() => slow.die());
  watch.follow([`127.0.0.1:${slow.port}`]);
  await until('it has been asked again, twice', () => slow.connections() >= 3);
  assert.deepEqual(evicted, []);
});

test('whoever leaves or is put out is told of at once, so that the rebalance need not wait for a heartbeat', async t => {
  const { gone, watch } = watching(t);
  const leaver = await openPeerPort({ listen: '127.0.0.1:0', probeIntervalMs: silenceMs / 4 });
  leaver.say('leaver');
  const victim = await mortal(0, 'victim');
  watch.follow([leaver.address, `127.0.0.1:${victim.port}`]);
  await until('both are watched', () => watch.watched() === 2);
  await leaver.close();
  await until('the leaver was told of', () => gone.length === 1);
  await victim.die();
  await until('the victim was told of when it was out', () => gone.length === 2);
  assert.deepEqual(gone, [0, 1]);
});

test('one that is put out again and again is left to its session, for longer each time', () => {
  const first = nextEviction(undefined, 0);
  assert.deepEqual(first, { untilMs: 10_000, pauseMs: 10_000 });
  assert.equal(nextEviction(first, 9_999), undefined);
  const second = nextEviction(first, 10_000);
  assert.deepEqual(second, { untilMs: 30_000, pauseMs: 20_000 });
  let last: Eviction | undefined = second;
  for (let count = 0; count < 20; count += 1) last = nextEviction(last, last?.untilMs ?? 0);
  assert.equal(last?.pauseMs, 600_000);
});

test('a gateway that is killed loses its partitions to the others long before its session ends, and so it does when it dies right after its return', async t => {
  const redis = await startScratchRedis();
  const world = await openGateways(6, redis.url);
  t.after(async () => {
    await world.close();
    await redis.close();
  });
  const one = await world.gateway();
  const peerListen = `127.0.0.1:${await freePort()}`;
  const config = {
    kafka: { ...kafkaConfig([kafkaAddress()]), sessionTimeoutMs: 60_000, heartbeatIntervalMs: 50 },
    ownership: { group: world.group, handoverWindowMs: 0, peerListen, peerSilenceMs: 2_000 },
  };
  const options = { config, redisUrl: redis.url, topics: world.topics, partitionCount: 6, address: 'http://victim' };
  const script = fileURLToPath(new URL('gateway-process.ts', import.meta.url));
  const router = await world.router();
  for (const life of ['first', 'second']) {
    const victim = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => victim.kill('SIGKILL'));
    await until(`the ${life} has its share`, () => router.owners().get('http://victim')?.length === 3, 30_000);
    await until('its peers know it', () => one.metric('penstock_ownership_peers').then(count => count === 1));
    victim.kill('SIGKILL');
    await until(
      `all of the ${life} is owned again`,
      () => one.in('owned').length === 6 && router.owners().get(one.address)?.length === 6,
      30_000,
    );
  }
});

const maxPeers = 8;

/** Connections to a peer port of somebody who is no peer; each says this once, or nothing. */
async function strangers(t: TestContext, address: string, count: number, says?: string): Promise<Socket[]> {
  const port = Number(address.split(':')[1]);
  const sockets = Array.from({ length: count }, () =>
    connect(port, '127.0.0.1')
      .on('error', () => undefined)
      .resume(),
  );
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (const socket of sockets) {
    await Promise.race([once(socket, 'data'), once(socket, 'close')]);
    if (says !== undefined) socket.write(says);
  }
  return sockets;
}

test('connections that say nothing give way to peers, the oldest first', async t => {
  const port = await openPeerPort({ listen: '127.0.0.1:0', probeIntervalMs: 20, maxPeers, answerWithinMs: 600_000 });
  t.after(() => port.close());
  port.say('m1');
  const idle = await strangers(t, port.address, maxPeers);
  const { evicted, watch } = watching(t);
  watch.follow([port.address]);
  await until('the peer is watched', () => watch.watched() === 1, 10_000);
  await until('one of them has gone', () => idle[0]?.closed);
  assert.ok(idle.slice(1).every(({ closed }) => !closed));
  assert.deepEqual(evicted, []);
});

test('connections that say nothing, or something else, are cut off; a peer is not', async t => {
  const port = await openPeerPort({ listen: '127.0.0.1:0', probeIntervalMs: 20, maxPeers, answerWithinMs: 300 });
  t.after(() => port.close());
  port.say('m1');
  const { watch } = watching(t);
  watch.follow([port.address]);
  await until('the peer is watched', () => watch.watched() === 1);
  const others = [...(await strangers(t, port.address, 3)), ...(await strangers(t, port.address, 2, 'GET / HTTP/1.1'))];
  await until('all of them are cut off', () => others.every(({ closed }) => closed));
  assert.equal(watch.watched(), 1);
});

/** A way to a peer port whose connections can be broken off; new ones wait then, until they are let through. */
async function openWay(t: TestContext, address: string) {
  const port = Number(address.split(':')[1]);
  const sockets = new Set<Socket>();
  let open = Promise.resolve();
  const server = createServer(async client => {
    sockets.add(client.on('error', () => undefined));
    await open;
    const onward = connect(port, '127.0.0.1').on('error', () => undefined);
    sockets.add(onward);
    client.pipe(onward).pipe(client);
    client.on('close', () => onward.destroy());
    onward.on('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    address: `127.0.0.1:${bound === null || typeof bound === 'string' ? 0 : bound.port}`,
    breakOff(): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      open = promise;
      for (const socket of sockets) socket.destroy();
      sockets.clear();
      return resolve;
    },
  };
}

test('a port that is full says so: its process is not taken for dead', async t => {
  const port = await openPeerPort({ listen: '127.0.0.1:0', probeIntervalMs: 20, maxPeers });
  t.after(() => port.close());
  port.say('m1');
  const way = await openWay(t, port.address);
  const { evicted, watch } = watching(t);
  watch.follow([way.address]);
  await until('the peer is watched', () => watch.watched() === 1);
  await strangers(t, port.address, maxPeers - 1, 'peer\n');
  // Its connection is lost, and somebody who speaks as a peer does has its place by the time it comes again.
  const letThrough = way.breakOff();
  await until('somebody else has the place', async () => {
    const [late] = await strangers(t, port.address, 1, 'peer\n');
    assert.ok(late);
    // Who is let in hears a sign of life.
    if (late.closed) return false;
    return Promise.race([once(late, 'data').then(() => true), once(late, 'close').then(() => false)]);
  });
  letThrough();
  const fromMs = performance.now();
  await until('many times the silence that kills', () => performance.now() - fromMs > 8 * silenceMs);
  assert.deepEqual([evicted, watch.watched(), watch.silentForMs(way.address)], [[], 0, undefined]);
});
