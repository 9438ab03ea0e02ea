import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { decodeJwt } from 'jose';
import { openTestRouter, type TestRouter } from '../../support/router.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { macToken, stolenKey, tampered, tokenMaker, unsignedToken } from '../../support/token-maker.ts';
import { until } from '../../support/until.ts';
import { deadAddress, type Upstream, type UpstreamBehaviour, upstream } from '../../support/upstream.ts';

let scratch: ScratchPostgres;
let router: TestRouter;
let alice: string;
const open: Upstream[] = [];
before(async () => {
  scratch = await scratchPostgres();
  router = await openTestRouter(scratch.url, {
    PENSTOCK_ROUTE_OWNER_WAIT_MS: '2000',
    PENSTOCK_ROUTE_ANSWER_TIMEOUT_MS: '1000',
    PENSTOCK_GATEWAY_MAX_REQUEST_BYTES: '2048',
  });
  alice = await router.logIn('alice');
});
after(async () => {
  await router.close();
  for (const gateway of open) await gateway.close();
  await scratch.drop();
});

async function gateway(behaviour: UpstreamBehaviour): Promise<Upstream> {
  const made = await upstream(behaviour);
  open.push(made);
  return made;
}
const ok: UpstreamBehaviour['onRequest'] = (_request, response) =>
  void response.writeHead(200, { 'content-type': 'application/json', 'x-gateway': 'a' }).end('{"data":{}}');
const misdirected: UpstreamBehaviour['onRequest'] = (_request, response) =>
  void response.writeHead(421, { 'content-type': 'application/json' }).end('{"errors":[]}');

const query = (headers: Record<string, string> = {}, init: RequestInit = {}, path = '/graphql'): Promise<Response> =>
  fetch(`${router.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${alice}`, 'content-type': 'application/json', ...headers },
    body: '{"query":"{ a }"}',
    ...init,
  });
async function codeOf(response: Response): Promise<string | undefined> {
  const { errors } = (await response.json()) as { errors: { extensions: { code: string } }[] };
  return errors[0]?.extensions.code;
}

describe('a GraphQL request', () => {
  test('that may not come by GET is refused as the owner refuses it', async () => {
    const owner = await gateway({
      onRequest: (request, response) =>
        void response.writeHead(request.method === 'GET' ? 405 : 200, { allow: 'POST' }).end('{"errors":[]}'),
    });
    router.owners.give(owner.url);
    const path = `/graphql?query=${encodeURIComponent('mutation { a }')}`;
    const response = await fetch(`${router.url}${path}`, { headers: { authorization: `Bearer ${alice}` } });
    assert.deepEqual([response.status, response.headers.get('allow')], [405, 'POST']);
  });

  test('reaches the owner with the access token, a route token bound to it, and nothing that the client claims', async () => {
    const owner = await gateway({ onRequest: ok });
    router.owners.give(owner.url);
    const response = await query(
      {
        'penstock-route': 'forged',
        'x-forwarded-for': '6.6.6.6',
        'x-user-id': 'root',
        cookie: 'penstock_route=x',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      },
      {},
      '/graphql?a=%2B1&route=forged',
    );
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('x-gateway'), 'a');
    assert.deepEqual(await response.json(), { data: {} });
    const [seen] = owner.requests;
    assert.ok(seen !== undefined);
    assert.equal(seen.method, 'POST');
    assert.equal(seen.url, '/graphql?a=%2B1');
    assert.equal(seen.body, '{"query":"{ a }"}');
    assert.equal(seen.headers.authorization, `Bearer ${alice}`);
    assert.equal(seen.headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(seen.headers['x-user-id'], undefined);
    assert.equal(seen.headers.cookie, undefined);
    assert.match(String(seen.headers.traceparent), /^00-0af7651916cd43dd8448eb211c80319c-/);
    const { sub, aud, ath } = decodeJwt(String(seen.headers['penstock-route']));
    assert.deepEqual([sub, aud], ['alice', 'penstock-gateway']);
    assert.equal(typeof ath, 'string');
  });

  test('by GET keeps its query string', async () => {
    const owner = await gateway({ onRequest: ok });
    router.owners.give(owner.url);
    const response = await fetch(`${router.url}/graphql?query=%7B+a+%7D`, {
      headers: { authorization: `Bearer ${alice}` },
    });
    assert.equal(response.status, 200);
    assert.deepEqual([owner.requests[0]?.method, owner.requests[0]?.url], ['GET', '/graphql?query=%7B+a+%7D']);
  });

  test('is asked of the next owner after a 421', async () => {
    const right = await gateway({ onRequest: ok });
    const wrong = await gateway({
      onRequest(request, response, incoming) {
        router.owners.give(right.url);
        misdirected(request, response, incoming);
      },
    });
    router.owners.give(wrong.url);
    assert.equal((await query()).status, 200);
    assert.equal(right.requests[0]?.body, '{"query":"{ a }"}');
    assert.match(await router.metric('penstock_router_routed_total'), /rerouted=1/);
  });

  test('waits for an owner that a refused connection shows to be gone', async () => {
    const right = await gateway({ onRequest: ok });
    router.owners.give(await deadAddress());
    const asking = query();
    await until('the router waits', () => router.owners.waiting() > 0);
    router.owners.give(right.url);
    assert.equal((await asking).status, 200);
  });

  test('gets 503 with Retry-After when no owner turns up in time', async () => {
    router.owners.give(undefined);
    const response = await query();
    assert.equal(response.status, 503);
    assert.match(response.headers.get('retry-after') ?? '', /^\d+$/);
    assert.equal(await codeOf(response), 'UNAVAILABLE');
    assert.match(await router.metric('penstock_router_unowned_wait_seconds'), /=[1-9]/);
  });

  test('is never repeated after a broken answer: it may have taken effect', async () => {
    for (const onRequest of [
      (_: unknown, response: { destroy(): void }) => response.destroy(),
      // Half an answer: the status line, and then nothing.
      (_: unknown, response: { socket: { write(text: string): void; destroySoon(): void } | null }) => {
        response.socket?.write('HTTP/1.1 200');
        response.socket?.destroySoon();
      },
    ] as NonNullable<UpstreamBehaviour['onRequest']>[]) {
      const owner = await gateway({ onRequest });
      const other = await gateway({ onRequest: ok });
      router.owners.give(owner.url);
      const asking = query();
      await until('it was sent', () => owner.requests.length === 1);
      router.owners.give(other.url);
      const response = await asking;
      assert.equal(response.status, 502);
      assert.match(response.headers.get('retry-after') ?? '', /^\d+$/);
      assert.equal(await codeOf(response), 'UNAVAILABLE');
      assert.equal(owner.requests.length + other.requests.length, 1);
    }
  });

  test('that hangs at the gateway ends in 502, not repeated, and the gateway learns it', async () => {
    const owner = await gateway({ onRequest: () => undefined });
    router.owners.give(owner.url);
    const response = await query();
    assert.equal(response.status, 502);
    await response.text();
    await until('the connection to the gateway is closed', () => owner.sockets.size === 0);
    assert.equal(owner.requests.length, 1);
  });

  test('over a kept connection that the gateway resets just then is not repeated either', async () => {
    let requests = 0;
    const owner = await gateway({
      onRequest(request, response, incoming) {
        requests++;
        if (requests === 1) ok(request, response, incoming);
        else response.destroy();
      },
    });
    router.owners.give(owner.url);
    assert.equal((await query()).status, 200);
    assert.equal((await query()).status, 502);
    assert.equal(requests, 2);
  });

  test('larger than a gateway takes is 413', async () => {
    const owner = await gateway({ onRequest: ok });
    router.owners.give(owner.url);
    const large = { body: JSON.stringify({ query: 'x'.repeat(3_000) }) };
    assert.equal((await query({}, large)).status, 413);
    const chunked = new ReadableStream({
      start(controller) {
        for (let piece = 0; piece < 10; piece++) controller.enqueue(Buffer.alloc(500, 'x'));
        controller.close();
      },
    });
    const response = await query({}, { body: chunked, duplex: 'half' } as RequestInit);
    assert.equal(response.status, 413);
    assert.equal(await codeOf(response), 'LIMIT_EXCEEDED');
    assert.equal(owner.requests.length, 0);
  });

  test('errors of the gateway come through as they are', async () => {
    const owner = await gateway({
      onRequest: (_request, response) =>
        void response.writeHead(400, { 'set-cookie': ['a=1', 'b=2'] }).end('{"errors":[1]}'),
    });
    router.owners.give(owner.url);
    const response = await query();
    assert.equal(response.status, 400);
    assert.deepEqual(response.headers.getSetCookie(), ['a=1', 'b=2']);
    assert.equal(await response.text(), '{"errors":[1]}');
  });
});

describe('an event stream', () => {
  const stream = (signal?: AbortSignal): Promise<Response> =>
    query({ accept: 'text/event-stream' }, signal === undefined ? {} : { signal });

  test('comes through event by event, and its end too', async () => {
    let send: ((text: string) => void) | undefined;
    let end: (() => void) | undefined;
    const owner = await gateway({
      onRequest(_request, response) {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.flushHeaders();
        send = text => response.write(text);
        end = () => response.end();
      },
    });
    router.owners.give(owner.url);
    const response = await stream();
    assert.equal(response.status, 200, 'the head is there before any event');
    const reader = response.body?.getReader();
    for (const text of ['event: next\n\n', ': ping\n\n']) {
      send?.(text);
      assert.equal(Buffer.from((await reader?.read())?.value ?? '').toString(), text);
    }
    end?.();
    assert.equal((await reader?.read())?.done, true);
  });

  test('ends at the gateway when its client goes away', async () => {
    const owner = await gateway({
      onRequest: (_request, response) =>
        void response.writeHead(200, { 'content-type': 'text/event-stream' }).write(':\n\n'),
    });
    router.owners.give(owner.url);
    const abort = new AbortController();
    await stream(abort.signal);
    assert.equal(owner.sockets.size, 1);
    abort.abort();
    await until('the gateway is told', () => owner.sockets.size === 0);
  });

  test('breaks at the client when its gateway dies', async () => {
    const owner = await gateway({
      onRequest: (_request, response) =>
        void response.writeHead(200, { 'content-type': 'text/event-stream' }).write(':\n\n'),
    });
    router.owners.give(owner.url);
    const response = await stream();
    for (const socket of owner.sockets) socket.resetAndDestroy();
    await assert.rejects(response.text());
  });
});

describe('without a token that holds', () => {
  const ask = async (authorization: string | undefined, path = '/graphql'): Promise<Response> =>
    fetch(`${router.url}${path}`, {
      method: 'POST',
      headers: {
        ...(authorization === undefined ? {} : { authorization }),
        cookie: `penstock_route=${await router.routeToken(alice)}`,
      },
      body: '{}',
    });
  const now = Math.floor(Date.now() / 1_000);
  const claims = { iss: 'penstock', aud: 'penstock', sub: 'alice', iat: now, exp: now + 60 };
  const publicKey = async (): Promise<{ kid?: string }> => {
    const { keys } = (await (await fetch(`${router.url}/.well-known/jwks.json`)).json()) as { keys: { kid: string }[] };
    return keys.find(({ kid }) => kid.startsWith('access-')) ?? {};
  };

  test('a request is 401 with a bare challenge, whatever cookie or ?route= it carries', async () => {
    const response = await ask(undefined, `/graphql?route=${await router.routeToken(alice)}`);
    assert.equal(response.status, 401);
    assert.equal(response.headers.get('www-authenticate'), 'Bearer');
    assert.equal(await codeOf(response), 'UNAUTHENTICATED');
  });

  const faults: Record<string, () => Promise<string> | string> = {
    nonsense: () => 'nonsense',
    'a token with a bit changed': () => tampered(alice),
    'an unsigned token': async () => unsignedToken(claims, { kid: (await publicKey()).kid }),
    'a token signed with our public key': async () => macToken(claims, await publicKey()),
    'a token of a foreign key under our key id': async () => {
      const foreign = await tokenMaker((await publicKey()).kid ?? '');
      return foreign.sign(claims);
    },
    'a route token': () => router.routeToken(alice),
    'a token for another audience': async () => (await stolenKey(scratch, 'access')).sign({ ...claims, aud: 'other' }),
    'a token of another issuer': async () => (await stolenKey(scratch, 'access')).sign({ ...claims, iss: 'other' }),
    'an expired token': async () => (await stolenKey(scratch, 'access')).sign({ ...claims, exp: now - 6 }),
  };
  for (const [name, token] of Object.entries(faults)) {
    test(`${name} is 401 with error invalid_token, and reaches no gateway`, async () => {
      const owner = await gateway({ onRequest: ok });
      router.owners.give(owner.url);
      const response = await ask(`Bearer ${await token()}`);
      assert.equal(response.status, 401);
      assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer error="invalid_token"/);
      assert.equal(await codeOf(response), 'UNAUTHENTICATED');
      assert.equal(owner.requests.length, 0);
    });
  }
});
