import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, describe, test } from 'node:test';
import { openLimitRefusals } from '../../../lib/ops/index.ts';
import { frontState, openFront } from '../../../services/router/front.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { openTestRouter, type TestRouter } from '../../support/router.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { bareClient, socketClient, upgradeRequest } from '../../support/socket-client.ts';
import { until } from '../../support/until.ts';
import { type Upstream, type UpstreamBehaviour, upstream } from '../../support/upstream.ts';

let scratch: ScratchPostgres;
let router: TestRouter;
let alice: string;
let route: string;
const open: Upstream[] = [];
const uncaught: unknown[] = [];
const onUncaught = (error: unknown): number => uncaught.push(error);
before(async () => {
  process.on('uncaughtException', onUncaught);
  scratch = await scratchPostgres();
  router = await openTestRouter(scratch.url, {
    PENSTOCK_ROUTE_OWNER_WAIT_MS: '1500',
    PENSTOCK_ROUTE_CONNECT_TIMEOUT_MS: '300',
    PENSTOCK_ROUTE_UPGRADE_TIMEOUT_MS: '300',
  });
  // Tokens come from another router, so that no kept connection of fetch counts at this one.
  const other = await openTestRouter(scratch.url);
  alice = await other.logIn('alice');
  route = `/graphql?route=${await other.routeToken(alice)}`;
  await other.close();
  await until('keys and tables', () => Object.keys(router.ops.readiness.reasons()).length === 0);
});
afterEach(() => assert.deepEqual(uncaught, [], 'nothing was thrown where nobody could catch it'));
after(async () => {
  await router.close();
  for (const gateway of open) await gateway.close();
  await scratch.drop();
  process.off('uncaughtException', onUncaught);
});

async function gateway(behaviour: UpstreamBehaviour = {}): Promise<Upstream> {
  const made = await upstream(behaviour);
  open.push(made);
  return made;
}
const wsUrl = (of: TestRouter = router, path = route): string => `${of.url.replace('http', 'ws')}${path}`;
const openSockets = async (of: TestRouter = router): Promise<number> =>
  Number((await of.metric('penstock_router_connections')).replace('=', ''));
const allGone = (): Promise<unknown> => until('the client is forgotten', async () => (await openSockets()) === 0);

describe('a client that resets', () => {
  test('while nothing has been decided yet ends nothing but itself', async () => {
    router.owners.give(undefined);
    for (let round = 0; round < 20; round++) {
      const { socket, closed } = await bareClient(router.url);
      socket.write(upgradeRequest(route), () => socket.resetAndDestroy());
      await closed;
    }
    await allGone();
  });

  test('while the router waits for an owner ends nothing but itself', async () => {
    router.owners.give(undefined);
    const { socket } = await bareClient(router.url);
    socket.write(upgradeRequest(route));
    await until('the router waits', () => router.owners.waiting() === 1);
    socket.resetAndDestroy();
    await allGone();
  });

  test('while its upgrade is pending at the gateway takes that connection with it', async () => {
    const owner = await gateway({ onUpgrade: (_request, socket) => void socket.resume() });
    router.owners.give(owner.url);
    const { socket } = await bareClient(router.url);
    socket.write(upgradeRequest(route));
    await until('the upgrade is pending', () => owner.sockets.size === 1);
    socket.resetAndDestroy();
    await until('the gateway is rid of it', () => owner.sockets.size === 0);
    await allGone();
  });

  test('just when the gateway accepts ends on both sides', async () => {
    for (let round = 0; round < 10; round++) {
      const owner = await gateway({
        onUpgrade(_request, _socket, _head, accept) {
          client.resetAndDestroy();
          accept();
        },
      });
      router.owners.give(owner.url);
      const { socket: client } = await bareClient(router.url);
      client.write(upgradeRequest(route));
      await until('it was asked', () => owner.requests.length > 0);
      await until('the gateway is rid of it', () => owner.sockets.size === 0);
    }
    await allGone();
  });

  test('after it was joined takes the gateway’s end with it, and the other way round', async () => {
    const owner = await gateway();
    router.owners.give(owner.url);
    const first = await bareClient(router.url);
    first.socket.write(upgradeRequest(route));
    await until('it is joined', () => first.received().includes(' 101 '));
    first.socket.resetAndDestroy();
    await until('the gateway is rid of it', () => owner.sockets.size === 0);

    const second = socketClient(wsUrl());
    await second.opened;
    for (const socket of owner.sockets) socket.resetAndDestroy();
    assert.equal((await second.closed).code, 1006);
    await allGone();
  });

  test('while the refusal is on its way ends nothing but itself', async () => {
    for (let round = 0; round < 20; round++) {
      const { socket, closed } = await bareClient(router.url);
      socket.write(upgradeRequest('/graphql'), () => setImmediate(() => socket.resetAndDestroy()));
      await closed;
    }
    await allGone();
  });
});

describe('half a connection', () => {
  test('of a client that has said its last word while the upgrade is pending is let go', async () => {
    const owner = await gateway({ onUpgrade: (_request, _socket, _head, accept) => void setImmediate(accept) });
    router.owners.give(owner.url);
    const { socket, closed } = await bareClient(router.url);
    socket.end(upgradeRequest(route));
    await closed;
    await until('the gateway is rid of it', () => owner.sockets.size === 0);
    await allGone();
  });

  test('of a joined client that never closes its side is cut off', async () => {
    const owner = await gateway({ onSocket: socket => socket.terminate() });
    router.owners.give(owner.url);
    const client = connect({ port: Number(new URL(router.url).port), host: '127.0.0.1', allowHalfOpen: true });
    client.on('error', () => undefined);
    client.resume();
    client.write(upgradeRequest(route));
    await once(client, 'end');
    await allGone();
    client.destroy();
  });
});

describe('a gateway', () => {
  test('that never answers an upgrade is given up on, and the client told to come back', async () => {
    const owner = await gateway({ onUpgrade: (_request, socket) => void socket.resume() });
    router.owners.give(owner.url);
    const refused = socketClient(wsUrl());
    assert.equal((await refused.closed).code, 1013);
    await until('no connection is left to it', () => owner.sockets.size === 0);
  });

  test('that answers an upgrade with something else is not shown to the client', async () => {
    const owner = await gateway({
      onUpgrade: (_request, socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nsecret'),
    });
    router.owners.give(owner.url);
    const refused = socketClient(wsUrl());
    await refused.opened;
    assert.equal((await refused.closed).code, 1013);
    assert.equal(owner.requests.length, 1);
  });

  describe('that cannot even be connected to', () => {
    let deaf: ChildProcess;
    let address: string;
    const fillers: Socket[] = [];
    before(async () => {
      // A process that listens with a short queue and is stopped: its queue fills, then connecting hangs.
      deaf = spawn(process.execPath, [
        '-e',
        `require('net').createServer().listen({port: 0, host: '127.0.0.1', backlog: 1}, function () { console.log(this.address().port) })`,
      ]);
      const [chunk] = (await once(deaf.stdout ?? deaf, 'data')) as [Buffer];
      address = `http://127.0.0.1:${chunk.toString().trim()}`;
      deaf.kill('SIGSTOP');
      for (let filler = 0; filler < 6; filler++) {
        fillers.push(connect(Number(new URL(address).port), '127.0.0.1').on('error', () => undefined));
      }
      await until('its queue is full', () => fillers.some(socket => !socket.connecting));
    });
    after(async () => {
      for (const socket of fillers) socket.destroy();
      deaf.kill('SIGKILL');
      await once(deaf, 'exit');
    });

    test('is given up on, for an upgrade and for a request', async () => {
      router.owners.give(address);
      const refused = socketClient(wsUrl());
      assert.equal((await refused.closed).code, 1013);
      const response = await fetch(`${router.url}/graphql`, {
        method: 'POST',
        headers: { authorization: `Bearer ${alice}` },
        body: '{}',
      });
      assert.equal(response.status, 503);
    });
  });
});

describe('a peer that speaks no proper HTTP', () => {
  test('gets a JSON error and loses its connection', async () => {
    const table: [bytes: string, status: number][] = [
      ['NONSENSE\r\n\r\n', 400],
      ['GET / HTTP/1.1\r\nbroken header\r\n\r\n', 400],
      [`GET / HTTP/1.1\r\nHost: x\r\nX-Large: ${'x'.repeat(40_000)}\r\n\r\n`, 431],
      ['POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
    ];
    for (const [bytes, status] of table) {
      const { socket, received, closed } = await bareClient(router.url);
      socket.write(bytes);
      await closed;
      assert.match(received(), new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*\\{"errors":`), bytes.slice(0, 40));
    }
    assert.match(await router.metric('penstock_limit_refused_total'), /PENSTOCK_HTTP_MAX_HEADER_BYTES,http=1/);
  });

  test('or is too slow to say what it wants loses it as well', async () => {
    const front = await openFront(
      {
        listen: ['127.0.0.1:0'],
        ...{ maxConnections: 10, maxHeaderBytes: 16_384, refusals: openLimitRefusals(quietOps().metrics) },
        ...{ drainMs: 500, headersTimeoutMs: 100, requestTimeoutMs: 200 },
      },
      frontState(),
      async (request, response) => {
        // A request that is cut off is no request to answer.
        await text(request).catch(() => undefined);
        response.end('ok');
      },
      () => undefined,
      quietOps().log,
    );
    for (const bytes of ['GET / HTTP/1.1\r\nHost:', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc']) {
      const { socket, received, closed } = await bareClient(front.urls[0] ?? '');
      socket.write(bytes);
      await closed;
      assert.match(received(), /^HTTP\/1.1 408 /);
    }
    await front.close();
  });
});

describe('more clients at once than a gateway is asked to take', () => {
  test('wait in a bounded line; further ones get 1013, and 429 with Retry-After where they ask for the way', async () => {
    let answer = (): void => undefined;
    const answered = new Promise<void>(resolve => (answer = resolve));
    const owner = await gateway({ onUpgrade: (_request, _socket, _head, accept) => void answered.then(accept) });
    const small = await openTestRouter(scratch.url, {
      PENSTOCK_ROUTE_MAX_PENDING: '1',
      PENSTOCK_ROUTE_MAX_WAITING: '1',
    });
    small.owners.give(owner.url);
    await until('keys and tables', () => Object.keys(small.ops.readiness.reasons()).length === 0);
    const first = socketClient(wsUrl(small));
    await until('the first is under way', () => owner.requests.length === 1);
    const second = socketClient(wsUrl(small));
    await until('the second waits', async () => (await small.metric('penstock_router_waiting_upgrades')) === '=1');
    const third = socketClient(wsUrl(small));
    assert.equal((await third.closed).code, 1013);
    const sentOff = await fetch(`${small.url}/route`, {
      method: 'POST',
      headers: { authorization: `Bearer ${alice}` },
    });
    assert.equal(sentOff.status, 429);
    assert.match(await sentOff.text(), /"limit":"PENSTOCK_ROUTE_MAX_WAITING"/);
    const counted = 'PENSTOCK_ROUTE_MAX_WAITING,http=1 PENSTOCK_ROUTE_MAX_WAITING,ws=1';
    assert.equal(await small.metric('penstock_limit_refused_total'), counted);
    assert.match(sentOff.headers.get('retry-after') ?? '', /^[1-5]$/);
    answer();
    await Promise.all([first.opened, second.opened]);
    assert.match(await small.metric('penstock_router_routed_total'), /overloaded=1/);
    for (const client of [first, second]) client.socket.terminate();
    await small.close();
  });
});

describe('more connections than allowed', () => {
  test('are told so: 429 over HTTP, 1013 over WebSocket; those that are there stay', async () => {
    const small = await openTestRouter(scratch.url, { PENSTOCK_ROUTE_MAX_CONNECTIONS: '1' });
    const held = await bareClient(small.url);
    held.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await until('the first is served', () => held.received().includes(' 200 '));
    const { socket, received, closed } = await bareClient(small.url);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await closed;
    assert.match(received(), /^HTTP\/1.1 429 [\s\S]*retry-after: \d[\s\S]*"limit":"PENSTOCK_ROUTE_MAX_CONNECTIONS"/i);
    const refused = socketClient(wsUrl(small));
    await refused.opened;
    assert.equal((await refused.closed).code, 1013);
    const counted = 'PENSTOCK_ROUTE_MAX_CONNECTIONS,http=1 PENSTOCK_ROUTE_MAX_CONNECTIONS,ws=1';
    assert.equal(await small.metric('penstock_limit_refused_total'), counted);
    held.socket.write('GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n');
    await until('the first is still served', () => held.received().includes(' 404 '));
    held.socket.destroy();
    await small.close();
  });
});

describe('a router that leaves', () => {
  test('closes WebSockets with 1012 between two frames, ends event streams, and finishes what is under way', async () => {
    const leaving = await openTestRouter(scratch.url);
    const token = await leaving.logIn('alice');
    let finish: (() => void) | undefined;
    const gatewayCodes: number[] = [];
    const owner = await gateway({
      onRequest(request, response) {
        if (request.headers.accept === 'text/event-stream') {
          response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: next\n\n');
        } else finish = () => response.end('{"data":1}');
      },
      onSocket(socket) {
        socket.on('close', code => gatewayCodes.push(code));
        socket.on('message', () => {
          for (let n = 0; n < 50; n++) socket.send('x'.repeat(70_000));
        });
      },
    });
    leaving.owners.give(owner.url);
    const path = `/graphql?route=${await leaving.routeToken(token)}`;
    const busy = socketClient(wsUrl(leaving, path));
    const idle = socketClient(wsUrl(leaving, path));
    await Promise.all([busy.opened, idle.opened]);
    const ask = (accept: string): Promise<Response> =>
      fetch(`${leaving.url}/graphql`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, accept },
        body: '{}',
      });
    const events = await ask('text/event-stream');
    const answer = ask('application/json');
    await until('the request is under way', () => finish);

    busy.socket.send('go');
    await until('frames flow', () => busy.messages.length > 0);
    const closing = leaving.close();
    assert.equal((await idle.closed).code, 1012);
    assert.equal((await busy.closed).code, 1012);
    assert.ok(
      busy.messages.every(message => message.length === 70_000),
      'no frame was cut',
    );
    assert.equal(await events.text(), 'event: next\n\n');
    finish?.();
    assert.deepEqual(await (await answer).json(), { data: 1 });
    await closing;
    await until('the gateway saw both leave', () => gatewayCodes.length === 2);
    await assert.rejects(fetch(leaving.url));
  });

  test('answers a request over a kept connection that was on its way, and closes behind it', async () => {
    const leaving = await openTestRouter(scratch.url);
    await until('it has its keys', () => Object.keys(leaving.ops.readiness.reasons()).length === 0);
    const { socket, received, closed } = await bareClient(leaving.url);
    const keys = 'GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n';
    socket.write(keys);
    await until('it is kept', () => /"keys":/.test(received()));
    const closing = leaving.close();
    await assert.rejects(fetch(leaving.url), 'nobody new is let in');
    socket.write(keys);
    await closed;
    const [, first = '', second = ''] = received().split('HTTP/1.1 200 OK');
    assert.match(first, /connection: keep-alive/i);
    assert.match(second, /connection: close[\s\S]*"keys":/i);
    await closing;
  });

  test('cuts off who does not go', async () => {
    const leaving = await openTestRouter(scratch.url, {}, { drainTimeoutMs: 2_500 });
    const token = await leaving.logIn('alice');
    // A frame that is announced and never finished: there is no place for a close frame.
    const owner = await gateway({
      onUpgrade(_request, socket, _head, accept) {
        accept();
        socket.write(Buffer.from([0x82, 126, 0xff, 0xff, 1, 2, 3]));
      },
    });
    leaving.owners.give(owner.url);
    const stuck = socketClient(wsUrl(leaving, `/graphql?route=${await leaving.routeToken(token)}`));
    await stuck.opened;
    await leaving.close();
    assert.equal((await stuck.closed).code, 1006);
    await until('the gateway is rid of it', () => owner.sockets.size === 0);
  });
});

describe('without PostgreSQL', () => {
  test('a router starts, says why it is not ready, and serves as soon as it is there; away again, it routes on', async () => {
    const url = new URL(scratch.url);
    const name = `${url.pathname.slice(1)}_late`;
    url.pathname = `/${name}`;
    const late = await openTestRouter(url.href);
    const logIn = (): Promise<Response> =>
      fetch(`${late.url}/login`, { method: 'POST', body: '{"username":"alice","password":"pw"}' });
    await until('the reason is named', () => late.ops.readiness.reasons().postgres?.includes('does not exist'));
    for (const response of [await logIn(), await fetch(`${late.url}/.well-known/jwks.json`)]) {
      assert.equal(response.status, 503);
      assert.match(response.headers.get('retry-after') ?? '', /^\d+$/);
    }
    await scratch.query(`CREATE DATABASE ${name}`);
    const token = await late.logIn('alice');

    const owner = await gateway({ onRequest: (_request, response) => void response.end('{}') });
    late.owners.give(owner.url);
    await scratch.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await until('the outage is seen', () => late.ops.readiness.reasons().postgres);
    assert.equal((await logIn()).status, 503);
    assert.equal((await fetch(`${late.url}/.well-known/jwks.json`)).status, 200);
    assert.equal(typeof (await late.routeToken(token)), 'string');
    const answer = await fetch(`${late.url}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: '{}',
    });
    assert.equal(answer.status, 200);
    await late.close();
  });
});
