import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, test } from 'node:test';
import { catalogue, readConfig } from '../../../../lib/ops/index.ts';
import { openTestRouter, type TestRouter } from '../../../support/router.ts';
import { type ScratchPostgres, scratchPostgres } from '../../../support/scratch-postgres.ts';
import { type SocketClient, socketClient } from '../../../support/socket-client.ts';
import { until } from '../../../support/until.ts';
import { type Upstream, upstream } from '../../../support/upstream.ts';

const listed = 'https://app.example';
const foreign = 'https://evil.example';
const proxied = { host: 'bank.example', 'x-forwarded-proto': 'https' };

let scratch: ScratchPostgres;
let router: TestRouter;
let gateway: Upstream;
let alice: string;
const clients: SocketClient[] = [];

before(async () => {
  scratch = await scratchPostgres();
  router = await openTestRouter(scratch.url, {
    PENSTOCK_HTTP_ALLOWED_ORIGINS: `${listed}, http://localhost:5173`,
    PENSTOCK_ROUTE_TRUSTED_PROXIES: '127.0.0.1',
  });
  gateway = await upstream({
    onRequest: (_request, response) =>
      void response.writeHead(200, { 'content-type': 'application/json', vary: 'Accept' }).end('{"data":{}}'),
    onSocket: socket => socket.on('message', text => socket.send(`echo ${text}`)),
  });
  router.owners.give(gateway.url);
  alice = await router.logIn('alice');
});
afterEach(() => {
  for (const { socket } of clients.splice(0)) socket.terminate();
  gateway.requests.length = 0;
});
after(async () => {
  await router.close();
  await gateway.close();
  await scratch.drop();
});

interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

/** Not by fetch(), which lets nobody set the header Host. */
async function send(path: string, headers: Record<string, string>, method = 'POST'): Promise<Answer> {
  const made = request(`${router.url}${path}`, { method, headers: { authorization: `Bearer ${alice}`, ...headers } });
  const body = path === '/login' ? '{"username":"alice","password":"pw"}' : '{"query":"{ a }"}';
  made.end(method === 'POST' ? body : undefined);
  const [response] = (await once(made, 'response')) as [IncomingMessage];
  const pairs = new Headers();
  for (const [name, values = []] of Object.entries(response.headersDistinct)) {
    for (const value of values) pairs.append(name, value);
  }
  return { status: response.statusCode ?? 0, headers: pairs, text: await text(response) };
}

function connect(headers: Record<string, string>): SocketClient {
  const client = socketClient(`${router.url.replace('http', 'ws')}/graphql`, {
    headers: { authorization: `Bearer ${alice}`, ...headers },
  });
  clients.push(client);
  return client;
}

async function echo({ socket, opened, messages }: SocketClient): Promise<void> {
  await opened;
  socket.send('hello');
  await until('the echo', () => messages.includes('echo hello'));
}

for (const path of ['/login', '/route', '/graphql']) {
  test(`${path} is for pages of the router's own origin and of listed ones`, async () => {
    const own = await send(path, { origin: router.url });
    assert.equal(own.status, 200);
    assert.equal(own.headers.get('access-control-allow-origin'), null);
    const shared = await send(path, { origin: listed, 'sec-fetch-site': 'cross-site' });
    assert.equal(shared.status, 200);
    assert.equal(shared.headers.get('access-control-allow-origin'), listed);
    assert.equal(shared.headers.get('access-control-allow-credentials'), null);
    assert.match(shared.headers.get('vary') ?? '', /\bOrigin\b/);
    assert.match(shared.headers.get('access-control-expose-headers') ?? '', /Retry-After/);
  });

  test(`${path} refuses pages of other origins, and their preflights`, async () => {
    for (const origin of [foreign, 'null', `${listed}:8443`, `${listed}.evil.example`, 'http://app.example', '']) {
      for (const method of ['POST', 'OPTIONS']) {
        const response = await send(path, { origin, 'access-control-request-method': 'POST' }, method);
        assert.equal(response.status, 403, `${method} ${origin}`);
        assert.equal(response.headers.get('access-control-allow-origin'), null);
        assert.equal(JSON.parse(response.text).errors[0].extensions.code, 'FORBIDDEN');
      }
    }
    assert.equal(gateway.requests.length, 0);
  });

  test(`${path} tells listed pages what they may send`, async () => {
    const wanted = {
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,x-mine',
    };
    const response = await send(path, { origin: listed, ...wanted }, 'OPTIONS');
    assert.equal(response.status, 204);
    assert.equal(response.headers.get('access-control-allow-origin'), listed);
    assert.match(response.headers.get('access-control-allow-methods') ?? '', /\bPOST\b/);
    assert.equal(response.headers.get('access-control-allow-headers'), 'authorization,x-mine');
    assert.equal(gateway.requests.length, 0);
  });
}

test('an error is readable for listed pages too', async () => {
  const response = await send('/graphql', { origin: listed, authorization: '' });
  assert.equal(response.status, 401);
  assert.equal(response.headers.get('access-control-allow-origin'), listed);
});

test("what varies by a gateway's answer varies by the origin as well", async () => {
  const response = await send('/graphql', { origin: listed });
  assert.deepEqual((response.headers.get('vary') ?? '').split(', ').sort(), ['Accept', 'Origin']);
});

test("the cookie is for the router's own pages", async () => {
  assert.match((await send('/route', { origin: router.url })).headers.get('set-cookie') ?? '', /^penstock_route=/);
  assert.match((await send('/route', {})).headers.get('set-cookie') ?? '', /^penstock_route=/);
  assert.equal((await send('/route', { origin: listed })).headers.get('set-cookie'), null);
});

test('behind a trusted proxy that ends TLS the own origin is an https one', async () => {
  assert.equal((await send('/route', { ...proxied, origin: 'https://bank.example' })).status, 200);
  assert.equal((await send('/route', { ...proxied, origin: 'http://bank.example' })).status, 403);
  await echo(connect({ ...proxied, origin: 'https://bank.example' }));
});

test('behind a proxy that ends TLS and is not trusted the same host over https is the own origin, and no other is', async () => {
  const host = 'bank.example:8443';
  assert.equal((await send('/route', { host, origin: 'https://bank.example:8443' })).status, 200);
  assert.equal((await send('/route', { host, origin: 'http://bank.example:8443' })).status, 200);
  for (const origin of ['https://bank.example', 'https://x.bank.example:8443']) {
    assert.equal((await send('/route', { host, origin })).status, 403, origin);
  }
});

test('a WebSocket without an Origin, of the own origin or of a listed one is joined', async () => {
  for (const headers of [{}, { origin: router.url }, { origin: listed }, { origin: 'http://localhost:5173' }]) {
    await echo(connect(headers as Record<string, string>));
  }
});

test('a WebSocket of another origin is accepted, closed for good, and never reaches a gateway', async () => {
  const token = await router.routeToken(alice);
  for (const headers of [
    { origin: foreign },
    { origin: 'null' },
    { origin: 'https://bank.example' },
    { origin: foreign, cookie: `penstock_route=${token}` },
  ]) {
    const client = connect(headers as Record<string, string>);
    await client.opened;
    assert.deepEqual(await client.closed, {
      code: 4401,
      reason: 'pages of this origin are not allowed here (PENSTOCK_HTTP_ALLOWED_ORIGINS)',
    });
  }
  assert.equal(gateway.requests.length, 0);
});

test('what is no origin is refused at start', () => {
  for (const text of ['app.example', 'https://app.example/', 'https://app.example:443', '*', 'ftp://app.example']) {
    assert.throws(
      () => readConfig(catalogue, ['http'], { PENSTOCK_HTTP_ALLOWED_ORIGINS: text }),
      /PENSTOCK_HTTP_ALLOWED_ORIGINS: must be origins/,
      text,
    );
  }
});
