import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { decodeJwt } from 'jose';
import { openTestRouter, type TestRouter } from '../../support/router.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { bareClient, type SocketClient, socketClient, upgradeRequest } from '../../support/socket-client.ts';
import { stolenKey, tampered } from '../../support/token-maker.ts';
import { until } from '../../support/until.ts';
import { deadAddress, type Upstream, type UpstreamBehaviour, upstream } from '../../support/upstream.ts';

let scratch: ScratchPostgres;
let router: TestRouter;
let alice: string;
const open: Upstream[] = [];
const clients: SocketClient[] = [];
before(async () => {
  scratch = await scratchPostgres();
  router = await openTestRouter(scratch.url, { PENSTOCK_ROUTE_OWNER_WAIT_MS: '1500' });
  alice = await router.logIn('alice');
});
afterEach(() => {
  for (const { socket } of clients.splice(0)) socket.terminate();
});
after(async () => {
  await router.close();
  for (const gateway of open) await gateway.close();
  await scratch.drop();
});

async function gateway(behaviour: UpstreamBehaviour = {}): Promise<Upstream> {
  const made = await upstream({
    onSocket: socket => socket.on('message', text => socket.send(`echo ${text}`)),
    ...behaviour,
  });
  open.push(made);
  return made;
}
const address = (query = ''): string => `${router.url.replace('http', 'ws')}/graphql${query}`;
function client(...args: Parameters<typeof socketClient>): SocketClient {
  const made = socketClient(...args);
  clients.push(made);
  return made;
}
async function echo({ socket, opened, messages }: SocketClient): Promise<void> {
  await opened;
  socket.send('hello');
  await until('the echo', () => messages.includes('echo hello'));
}

describe('a WebSocket', () => {
  test('is joined to the owner, which gets the presented route token and no other credential', async () => {
    const owner = await gateway();
    router.owners.give(owner.url);
    const token = await router.routeToken(alice);
    const connected = client(address(`?route=${token}&x=1`), {
      headers: { cookie: `penstock_route=${token}`, authorization: `Bearer ${alice}`, 'x-user': 'root', 'x-kept': '1' },
    });
    await echo(connected);
    assert.equal(connected.socket.protocol, 'graphql-transport-ws');
    const [seen] = owner.requests;
    assert.equal(seen?.url, '/graphql');
    assert.equal(seen?.headers['penstock-route'], token);
    for (const name of ['cookie', 'authorization', 'x-user']) assert.equal(seen?.headers[name], undefined, name);
    assert.equal(seen?.headers['x-kept'], '1');
    assert.match(String(seen?.headers.traceparent), /^00-/);
  });

  test('passes close codes through, from the gateway and to it', async () => {
    const atGateway: number[] = [];
    const owner = await gateway({
      onSocket(socket) {
        socket.on('close', code => atGateway.push(code));
        socket.on('message', () => socket.close(4403, 'expired'));
      },
    });
    router.owners.give(owner.url);
    const route = `?route=${await router.routeToken(alice)}`;
    const first = client(address(route));
    await first.opened;
    first.socket.send('close me');
    assert.deepEqual(await first.closed, { code: 4403, reason: 'expired' });
    const second = client(address(route));
    await second.opened;
    second.socket.close(4321);
    await until('the gateway sees the code', () => atGateway.includes(4321));
    await until('nothing is left open', () => owner.sockets.size === 0);
  });

  test('is closed with 1012 when its gateway has died in silence; those of other gateways stay', async () => {
    const [silent, other] = [await gateway(), await gateway()];
    router.owners.give(silent.url);
    const moved = client(address(), { headers: { authorization: `Bearer ${alice}` } });
    await moved.opened;
    router.owners.give(other.url);
    const kept = client(address(), { headers: { authorization: `Bearer ${alice}` } });
    await kept.opened;
    router.owners.die(silent.url);
    assert.equal((await moved.closed).code, 1012);
    assert.equal(kept.socket.readyState, kept.socket.OPEN);
  });

  test('that a gateway had not answered when it died in silence is joined to the next owner', async () => {
    let asked = 0;
    const mute = createServer(() => {
      asked += 1;
    }).listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const url = `http://127.0.0.1:${(mute.address() as AddressInfo).port}`;
    router.owners.give(url);
    const patient = client(address(), { headers: { authorization: `Bearer ${alice}` } });
    await until('the gateway is asked', () => asked > 0);
    const next = await gateway();
    router.owners.die(url);
    router.owners.give(next.url);
    await echo(patient);
    mute.close();
  });

  test('whose client speaks before it is answered loses nothing', async () => {
    let accept: (() => void) | undefined;
    const owner = await gateway({ onUpgrade: (_request, _socket, _head, go) => (accept = go) });
    router.owners.give(owner.url);
    const { socket, received } = await bareClient(router.url);
    // "hi", masked with zeros, right behind the request and once more while the upgrade is pending.
    const frame = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]);
    const head = upgradeRequest(`/graphql?route=${await router.routeToken(alice)}`);
    socket.write(Buffer.concat([Buffer.from(head), frame]));
    await until('the upgrade is pending', () => accept);
    socket.write(frame);
    accept?.();
    await until('both frames are echoed', () => received().split('echo hi').length === 3);
    socket.destroy();
  });
});

describe('the credentials of a WebSocket', () => {
  test('are ?route=, else the cookie, else the Authorization header; one that does not hold falls through', async () => {
    const owner = await gateway();
    router.owners.give(owner.url);
    const good = await router.routeToken(alice);
    const bobs = await router.routeToken(await router.logIn('bob'));
    const bad = tampered(good);
    const table: { name: string; query: string; headers: Record<string, string>; sub: string; token?: string }[] = [
      {
        name: 'query first',
        query: `?route=${good}`,
        headers: { cookie: `penstock_route=${bobs}` },
        sub: 'alice',
        token: good,
      },
      { name: 'cookie alone', query: '', headers: { cookie: `a=1; penstock_route=${bobs}` }, sub: 'bob', token: bobs },
      {
        name: 'bad query, cookie',
        query: `?route=${bad}`,
        headers: { cookie: `penstock_route=${bobs}` },
        sub: 'bob',
        token: bobs,
      },
      { name: 'header alone', query: '', headers: { authorization: `Bearer ${alice}` }, sub: 'alice' },
      {
        name: 'bad query, bad cookie, header',
        query: '?route=x',
        headers: { cookie: `penstock_route=${bad}`, authorization: `Bearer ${alice}` },
        sub: 'alice',
      },
      {
        name: 'an access token is no route token',
        query: `?route=${alice}`,
        headers: { cookie: `penstock_route=${good}` },
        sub: 'alice',
        token: good,
      },
    ];
    for (const { name, query, headers, sub, token } of table) {
      owner.requests.length = 0;
      await echo(client(address(query), { headers }));
      const sent = String(owner.requests[0]?.headers['penstock-route']);
      assert.equal(decodeJwt(sent).sub, sub, name);
      if (token !== undefined) assert.equal(sent, token, name);
    }
  });

  test('that do not hold close it with 4401, after it was accepted', async () => {
    const owner = await gateway();
    router.owners.give(owner.url);
    const routeToken = await router.routeToken(alice);
    const table: [query: string, headers: Record<string, string>][] = [
      ['', {}],
      ['?route=', {}],
      ['?route=nonsense', {}],
      [`?route=${tampered(routeToken)}`, { cookie: 'penstock_route=x', authorization: 'Bearer y' }],
      [`?route=${alice}`, {}],
      ['', { authorization: `Bearer ${routeToken}` }],
    ];
    for (const [query, headers] of table) {
      const refused = client(address(query), { headers });
      await refused.opened;
      assert.equal((await refused.closed).code, 4401, query);
    }
    assert.equal(owner.requests.length, 0);
  });

  test('that have expired close it with 4403', async () => {
    const { kid, sign } = await stolenKey(scratch, 'route');
    const now = Math.floor(Date.now() / 1_000);
    const claims = { ...decodeJwt(await router.routeToken(alice)), iat: now - 70, exp: now - 10 };
    const token = await sign(claims, { typ: 'penstock-route+jwt', kid });
    for (const other of ['', 'penstock_route=nonsense']) {
      const refused = client(address(`?route=${token}`), { headers: other === '' ? {} : { cookie: other } });
      await refused.opened;
      assert.equal((await refused.closed).code, 4403);
    }
  });

  test('of a time with another partition count ask for a new route', async () => {
    const owner = await gateway();
    router.owners.give(owner.url);
    const token = await router.routeToken(await router.logIn('zoe'));
    const { partitionCount } = router.owners;
    router.owners.partitionCount = () => 100_000;
    const refused = client(address(`?route=${token}`));
    assert.equal((await refused.closed).code, 4403);
    router.owners.partitionCount = partitionCount;
  });
});

describe('what cannot be served', () => {
  test('is accepted and closed: 4406 without our sub-protocol, 4400 at another path', async () => {
    for (const protocols of [[], ['graphql-ws'], ['other', 'graphql-ws']]) {
      const refused = client(address(), { protocols });
      await refused.opened;
      assert.equal((await refused.closed).code, 4406, protocols.join());
    }
    const elsewhere = client(`${router.url.replace('http', 'ws')}/elsewhere`);
    await elsewhere.opened;
    assert.equal((await elsewhere.closed).code, 4400);
  });

  test('is closed with 1013 when there is no owner in time', async () => {
    router.owners.give(undefined);
    const refused = client(address(`?route=${await router.routeToken(alice)}`));
    await refused.opened;
    assert.equal((await refused.closed).code, 1013);
  });

  test('is told over HTTP where it is no WebSocket handshake', async () => {
    const { socket, received, closed } = await bareClient(router.url);
    socket.write(upgradeRequest('/graphql', { 'Sec-WebSocket-Key': 'short' }));
    await closed;
    assert.match(received(), /^HTTP\/1.1 400 [\s\S]*\{"errors":\[\{/);
  });

  test('is an ordinary request where the upgrade is to something else', async () => {
    const { socket, received } = await bareClient(router.url);
    socket.write(upgradeRequest('/nowhere', { Upgrade: 'h2c' }));
    await until('an answer', () => received().includes('errors'));
    assert.match(received(), /^HTTP\/1.1 40[04] /);
    socket.destroy();
  });
});

describe('an upgrade is asked again', () => {
  const route = async (): Promise<string> => `?route=${await router.routeToken(alice)}`;

  test('after a 421, at the next owner, and the client notices nothing', async () => {
    const right = await gateway();
    const wrong = await gateway({
      onUpgrade(_request, socket) {
        router.owners.give(right.url);
        socket.end('HTTP/1.1 421 Misdirected Request\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}');
      },
    });
    router.owners.give(wrong.url);
    const rerouted = async () =>
      Number(/rerouted=(\d+)/.exec(await router.metric('penstock_router_routed_total'))?.[1] ?? 0);
    const before = await rerouted();
    await echo(client(address(await route())));
    assert.equal(wrong.requests.length, 1);
    assert.equal((await rerouted()) - before, 1);
  });

  test('after a refused connection', async () => {
    const right = await gateway();
    router.owners.give(await deadAddress());
    const connected = client(address(await route()));
    await until('the router waits', () => router.owners.waiting() > 0);
    router.owners.give(right.url);
    await echo(connected);
  });

  test('after a gateway that resets, or answers 503', async () => {
    for (const onUpgrade of [
      (_request, socket) => (socket as import('node:net').Socket).resetAndDestroy(),
      (_request, socket) => socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'),
    ] as NonNullable<UpstreamBehaviour['onUpgrade']>[]) {
      const right = await gateway();
      const wrong = await gateway({
        onUpgrade(...args) {
          router.owners.give(right.url);
          onUpgrade(...args);
        },
      });
      router.owners.give(wrong.url);
      await echo(client(address(await route())));
    }
  });

  test('at the same gateway, when that one only needed a moment', async () => {
    let asked = 0;
    const owner = await gateway({
      onUpgrade(_request, socket, _head, accept) {
        if (++asked === 1) socket.end('HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n');
        else accept();
      },
    });
    router.owners.give(owner.url);
    await echo(client(address(await route())));
    assert.equal(asked, 2);
  });
});
