import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { openTestRouter, type TestRouter } from '../../support/router.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { until } from '../../support/until.ts';

let scratch: ScratchPostgres;
let router: TestRouter;
before(async () => {
  scratch = await scratchPostgres();
  router = await openTestRouter(scratch.url);
  router.owners.give('http://127.0.0.1:1');
  await router.logIn('somebody');
});
after(async () => {
  await router.close();
  await scratch.drop();
});

const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${router.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
async function errorOf(response: Response): Promise<{ code: string; limit?: string; message: string }> {
  const { errors } = (await response.json()) as {
    errors: { message: string; extensions: { code: string; limit?: string } }[];
  };
  const [error] = errors;
  assert.ok(error !== undefined);
  return { ...error.extensions, message: error.message };
}

describe('POST /login', () => {
  test('gives an access token as the contract says', async () => {
    const response = await post('/login', { username: 'auditor', password: 'pw' });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    const { accessToken, ...rest } = (await response.json()) as { accessToken: string };
    assert.deepEqual(rest, { tokenType: 'Bearer', expiresIn: 3_600 });
    assert.equal(decodeProtectedHeader(accessToken).typ, 'at+jwt');
    const { iss, aud, sub, roles, iat = 0, exp } = decodeJwt(accessToken);
    assert.deepEqual(
      { iss, aud, sub, roles, exp },
      { iss: 'penstock', aud: 'penstock', sub: 'auditor', roles: ['auditor'], exp: iat + 3_600 },
    );
  });

  const bad: Record<string, string> = {
    'no body': '',
    'no JSON': '{',
    'broken UTF-8 as JSON': '"\ufffd',
    'a list': '[]',
    'no password': '{"username":"alice"}',
    'an empty name': '{"username":"","password":"pw"}',
    'a number as name': '{"username":1,"password":"pw"}',
  };
  for (const [name, body] of Object.entries(bad)) {
    test(`answers 400 to ${name}`, async () => {
      const response = await post('/login', body);
      assert.equal(response.status, 400);
      assert.equal((await errorOf(response)).code, 'BAD_USER_INPUT');
    });
  }

  test('answers 413 to a body that is too large', async () => {
    const response = await post('/login', { username: 'x', password: 'y'.repeat(20_000) });
    assert.equal(response.status, 413);
    const { code, limit } = await errorOf(response);
    assert.deepEqual([code, limit], ['LIMIT_EXCEEDED', 'PENSTOCK_LOGIN_MAX_BODY_BYTES']);
    assert.match(await router.metric('penstock_limit_refused_total'), /PENSTOCK_LOGIN_MAX_BODY_BYTES,http=1/);
  });

  test('answers 401 to a wrong password, and 429 with Retry-After after some, until that time is over', async () => {
    assert.equal((await post('/login', { username: 'carol', password: 'right' })).status, 200);
    for (let failure = 1; failure <= 5; failure++) {
      const response = await post('/login', { username: 'carol', password: 'wrong' });
      assert.equal(response.status, 401);
      assert.equal(response.headers.get('www-authenticate'), 'Bearer');
      assert.equal((await errorOf(response)).code, 'UNAUTHENTICATED');
    }
    const blocked = await post('/login', { username: 'carol', password: 'right' });
    assert.equal(blocked.status, 429);
    assert.match(blocked.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
    const { code, limit } = await errorOf(blocked);
    assert.deepEqual([code, limit], ['LIMIT_EXCEEDED', 'PENSTOCK_LOGIN_MAX_FAILURES']);
    assert.match(await router.metric('penstock_limit_refused_total'), /PENSTOCK_LOGIN_MAX_FAILURES,http=1/);
    await until('the right password works again', async () => {
      const response = await post('/login', { username: 'carol', password: 'right' });
      await response.body?.cancel();
      return response.status === 200;
    });
  });

  test('is not for pages of other sites', async () => {
    const response = await post('/login', { username: 'x', password: 'y' }, { 'sec-fetch-site': 'cross-site' });
    assert.equal(response.status, 403);
  });

  test('is not there where another issuer makes the tokens', async () => {
    const other = await openTestRouter(scratch.url, {
      PENSTOCK_AUTH_ISSUER: 'https://id.example',
      PENSTOCK_AUTH_JWKS_URL: 'http://127.0.0.1:1/jwks',
    });
    const response = await fetch(`${other.url}/login`, { method: 'POST', body: '{"username":"a","password":"b"}' });
    assert.equal(response.status, 404);
    assert.match((await errorOf(response)).message, /issued elsewhere/);
    await other.close();
  });
});

describe('POST /route', () => {
  test('gives the token, the address with it, and the same token as a cookie', async () => {
    const accessToken = await router.logIn('alice');
    const response = await post('/route', '', { authorization: `Bearer ${accessToken}` });
    assert.equal(response.status, 200);
    const { token, url, partition, expiresIn } = (await response.json()) as Record<string, unknown>;
    assert.ok(typeof token === 'string' && typeof partition === 'number');
    assert.equal(expiresIn, 60);
    assert.equal(url, `${router.url.replace('http', 'ws')}/graphql?route=${token}`);
    assert.equal(
      response.headers.get('set-cookie'),
      `penstock_route=${token}; Path=/graphql; Max-Age=60; HttpOnly; SameSite=Strict`,
    );
    const claims = decodeJwt(token);
    assert.deepEqual(Object.keys(claims).sort(), 'ath aud epoch exp iat iss jti partition sub'.split(' '));
    assert.equal(claims.aud, 'penstock-gateway');
    assert.equal(claims.partition, partition);
    assert.equal((claims.exp ?? 0) - (claims.iat ?? 0), 60);
    assert.equal(decodeProtectedHeader(token).typ, 'penstock-route+jwt');
  });

  test('says wss and Secure where a trusted proxy says https', async () => {
    const accessToken = await router.logIn('alice');
    const headers = { authorization: `Bearer ${accessToken}`, 'x-forwarded-proto': 'https' };
    const untrusted = (await (await post('/route', '', headers)).json()) as { url: string };
    assert.match(untrusted.url, /^ws:/);
    const behind = await openTestRouter(scratch.url, { PENSTOCK_ROUTE_TRUSTED_PROXIES: '127.0.0.0/8' });
    await behind.logIn('alice');
    const response = await fetch(`${behind.url}/route`, { method: 'POST', headers });
    assert.match(((await response.json()) as { url: string }).url, /^wss:/);
    assert.match(response.headers.get('set-cookie') ?? '', /; Secure$/);
    await behind.close();
  });

  test('answers 401, with a challenge that tells a missing token from one that does not hold', async () => {
    const missing = await post('/route', '');
    assert.equal(missing.status, 401);
    assert.equal(missing.headers.get('www-authenticate'), 'Bearer');
    const routeToken = await router.routeToken(await router.logIn('alice'));
    for (const token of ['nonsense', routeToken]) {
      const response = await post('/route', '', { authorization: `Bearer ${token}` });
      assert.equal(response.status, 401);
      assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer error="invalid_token"/);
      assert.equal((await errorOf(response)).code, 'UNAUTHENTICATED');
    }
  });
});

describe('everything else', () => {
  test('a wrong method is 405 with Allow, an unknown path 404, both in JSON', async () => {
    const table: [method: string, path: string, status: number, allow: string | null][] = [
      ['GET', '/login', 405, 'POST'],
      ['GET', '/route', 405, 'POST'],
      ['PUT', '/graphql', 405, 'GET, POST'],
      ['OPTIONS', '/graphql', 405, 'GET, POST'],
      ['POST', '/.well-known/jwks.json', 405, 'GET, HEAD'],
      ['DELETE', '/', 405, 'GET, HEAD'],
      ['GET', '/nowhere', 404, null],
      ['GET', '/__proto__', 404, null],
      ['GET', '/constructor', 404, null],
      ['GET', '/..%2fpackage.json', 404, null],
      ['POST', '//login', 404, null],
    ];
    for (const [method, path, status, allow] of table) {
      const response = await fetch(`${router.url}${path}`, { method });
      assert.equal(response.status, status, `${method} ${path}`);
      assert.equal(response.headers.get('allow'), allow);
      assert.equal((await errorOf(response)).code, 'BAD_USER_INPUT');
    }
  });

  test('the keys are public, may be cached for a while, and verify what is signed here', async () => {
    const response = await fetch(`${router.url}/.well-known/jwks.json`);
    assert.match(response.headers.get('cache-control') ?? '', /^public, max-age=\d+$/);
    const { keys } = (await response.json()) as { keys: { kid: string; d?: string }[] };
    const kids = keys.map(({ kid }) => kid);
    assert.ok(kids.includes(decodeProtectedHeader(await router.logIn('alice')).kid ?? ''));
    assert.ok(keys.every(key => key.d === undefined));
    const again = await fetch(`${router.url}/.well-known/jwks.json`, {
      headers: { 'if-none-match': response.headers.get('etag') ?? '' },
    });
    assert.equal(again.status, 304);
  });

  test('the page is served with a policy that lets nothing else in', async () => {
    const response = await fetch(`${router.url}/`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/html/);
    assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'/);
    assert.match(await response.text(), /<title>/);
  });
});
