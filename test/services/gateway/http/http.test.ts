import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { auditServer } from 'graphql-http';
import { answerCommands, type GatewayLab, openGatewayLab, type TestGateway, userIn } from '../../../support/gateway.ts';
import { macToken, unsignedToken } from '../../../support/token-maker.ts';

let lab: GatewayLab;
let gateway: TestGateway;
let handler: Awaited<ReturnType<typeof answerCommands>>;
const alice = userIn(0);
let token: string;

before(async () => {
  lab = await openGatewayLab();
  [gateway, handler] = await Promise.all([lab.gateway(), answerCommands(lab)]);
  token = await lab.accessToken(alice);
});

after(async () => {
  await handler.close();
  await lab.close();
});

/** Status, code of the first error, and the headers that matter. */
async function outcome(response: Response) {
  const body = (await response.json()) as { errors?: { message: string; extensions?: { code?: string } }[] };
  return { status: response.status, code: body.errors?.[0]?.extensions?.code, headers: response.headers };
}

test('it passes the audit of GraphQL over HTTP, recommendations included', async () => {
  const fetchFn = (url: string, init: RequestInit = {}) =>
    fetch(url, { ...init, headers: { ...(init.headers as object), authorization: `Bearer ${token}` } });
  const results = await auditServer({ url: `${gateway.url}/graphql`, fetchFn });
  assert.ok(results.length > 50);
  assert.deepEqual(
    results.filter(({ status }) => status !== 'ok').map(({ name }) => name),
    [],
  );
});

test('without a token, or with one that does not hold, it is 401 with a challenge', async () => {
  const now = Math.floor(Date.now() / 1_000);
  const claims = { iss: 'penstock', aud: 'penstock', sub: alice, iat: now, exp: now + 600 };
  const jwk = { kid: 'access-x', kty: 'EC' };
  const refused = {
    foreign: await lab.accessToken(alice, { iss: 'somebody' }),
    'of another audience': await lab.accessToken(alice, { aud: 'other' }),
    expired: await lab.accessToken(alice, { iat: now - 100, exp: now - 50 }),
    'of another type': await lab.accessToken(alice, {}, { typ: 'JWT' }),
    'a route token': await lab.routeToken(alice, token),
    unsigned: unsignedToken(claims),
    'signed with the public key': macToken(claims, jwk),
    nonsense: 'x.y.z',
  };
  for (const [what, bad] of Object.entries(refused)) {
    const { status, code, headers } = await outcome(await gateway.post(bad, { query: '{ __typename }' }));
    assert.deepEqual([status, code], [401, 'UNAUTHENTICATED'], what);
    assert.equal(headers.get('www-authenticate'), 'Bearer error="invalid_token"', what);
  }
  const missing = await outcome(await gateway.post(undefined, { query: '{ __typename }' }));
  assert.deepEqual([missing.status, missing.code], [401, 'UNAUTHENTICATED']);
  assert.equal(missing.headers.get('www-authenticate'), 'Bearer');
});

test('a cookie means nothing', async () => {
  const cookie = `penstock_route=${await lab.routeToken(alice, token)}; accessToken=${token}`;
  assert.equal((await gateway.post(undefined, { query: '{ __typename }' }, { cookie })).status, 401);
});

test('a query over GET and over POST gives the same', async () => {
  const url = new URL(`${gateway.url}/graphql`);
  url.searchParams.set('query', 'query Q($n: String!) { __type(name: $n) { name } }');
  url.searchParams.set('variables', '{"n":"Note"}');
  const headers = { authorization: `Bearer ${token}` };
  const got = await (await fetch(url, { headers })).json();
  assert.deepEqual(got, { data: { __type: { name: 'Note' } } });
  const body = { query: url.searchParams.get('query'), variables: { n: 'Note' } };
  assert.deepEqual(await (await gateway.post(token, body)).json(), got);
});

test('a command never runs over GET, whether it is a mutation or a subscription, and however it is put', async () => {
  const say = 'say(text: "by GET") { text }';
  const table: readonly [accept: string, query: string, operationName?: string][] = [
    ['application/json', `mutation { ${say} }`],
    ['text/event-stream', `mutation { ${say} }`],
    ['application/json', `query Q { __typename } mutation M { ${say} }`, 'M'],
    ['text/event-stream', `subscription { ${say} }`],
    ['text/event-stream', `subscription { said: ${say} }`],
    ['text/event-stream', `subscription { ... on Subscription { ... { ${say} } } }`],
    [
      'text/event-stream',
      `subscription { ...A } fragment A on Subscription { ...B } fragment B on Subscription { ${say} }`,
    ],
    ['text/event-stream', `subscription N { notes { n } } subscription S { ${say} }`, 'S'],
  ];
  for (const [accept, query, operationName] of table) {
    const url = new URL(`${gateway.url}/graphql`);
    url.searchParams.set('query', query);
    if (operationName !== undefined) url.searchParams.set('operationName', operationName);
    const response = await fetch(url, { headers: { accept, authorization: `Bearer ${token}` } });
    const { status, code, headers } = await outcome(response);
    assert.deepEqual([status, code, headers.get('allow')], [405, 'BAD_USER_INPUT', 'POST'], query);
  }
  await gateway.post(token, { query: 'mutation { say(text: "by POST") { text } }' });
  assert.deepEqual(
    handler.seen.map(({ value }) => value.text),
    ['by POST'],
  );
});

test('a subscription to records, and a query beside a mutation, are served over GET', async () => {
  const url = new URL(`${gateway.url}/graphql`);
  url.searchParams.set('query', 'query Q { __typename } mutation M { say(text: "not asked for") { text } }');
  url.searchParams.set('operationName', 'Q');
  const headers = { authorization: `Bearer ${token}` };
  assert.deepEqual(await (await fetch(url, { headers })).json(), { data: { __typename: 'Query' } });
  const stream = new URL(`${gateway.url}/graphql`);
  stream.searchParams.set('query', 'subscription { notes { n } }');
  const end = new AbortController();
  const response = await fetch(stream, { headers: { ...headers, accept: 'text/event-stream' }, signal: end.signal });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  end.abort();
});

test('malformed requests and bad documents say what is wrong', async () => {
  const raw = (body: string, headers: Record<string, string> = {}) =>
    fetch(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      body,
    });
  const strict = { accept: 'application/graphql-response+json' };
  const table: readonly [string, Response, number][] = [
    ['no JSON', await raw('{"query":'), 400],
    ['no object', await raw('[]'), 400],
    ['no query', await raw('{}'), 400],
    ['variables of another type', await raw('{"query":"{__typename}","variables":[]}'), 400],
    ['another content type', await raw('{}', { 'content-type': 'text/plain' }), 415],
    ['syntax', await gateway.post(token, { query: '{' }, strict), 400],
    ['syntax, the old way', await gateway.post(token, { query: '{' }), 200],
    ['validation', await gateway.post(token, { query: '{ nothing }' }, strict), 400],
    [
      'variables',
      await gateway.post(token, { query: 'query($n: String!) { __type(name: $n) { name } }' }, strict),
      400,
    ],
    ['no such operation', await gateway.post(token, { query: '{ __typename }', operationName: 'X' }, strict), 400],
    ['a subscription as JSON', await gateway.post(token, { query: 'subscription { notes { id } }' }, strict), 406],
    ['a form that nobody writes', await gateway.post(token, { query: '{ __typename }' }, { accept: 'text/html' }), 406],
  ];
  for (const [what, response, expected] of table) {
    const { status, code, headers } = await outcome(response);
    assert.deepEqual([status, code], [expected, 'BAD_USER_INPUT'], what);
    assert.match(headers.get('content-type') ?? '', /json/, what);
  }
});

test('what is too large is refused, announced or not', async () => {
  const large = 'x'.repeat(300_000);
  const { status, code } = await outcome(await gateway.post(token, { query: `# ${large}` }));
  assert.deepEqual([status, code], [413, 'LIMIT_EXCEEDED']);
  const unannounced = await new Promise<number | undefined>((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const outgoing = request(`${gateway.url}/graphql`, { method: 'POST', headers }, response => {
      resolve(response.statusCode);
      response.resume();
    });
    outgoing.on('error', reject);
    outgoing.write(large);
    outgoing.on('response', () => outgoing.destroy());
  });
  assert.equal(unannounced, 413);
});

test('other paths and methods are no secret', async () => {
  assert.equal((await fetch(`${gateway.url}/`)).status, 404);
  const response = await fetch(`${gateway.url}/graphql`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${token}` },
  });
  assert.deepEqual([response.status, response.headers.get('allow')], [405, 'GET, POST']);
});

test('a field that needs a role, at the root or below, is FORBIDDEN to others', async () => {
  const decree = { query: 'mutation { decree(text: "x") { text } }' };
  assert.equal((await outcome(await gateway.post(token, decree))).code, 'FORBIDDEN');
  const king = await lab.accessToken(userIn(1), { roles: ['king'] });
  assert.deepEqual(await (await gateway.post(king, decree)).json(), { data: { decree: { text: 'x' } } });
});

test('a route token must be for the same access token', async () => {
  const query = { query: '{ __typename }' };
  const own = await lab.routeToken(alice, token);
  assert.equal((await gateway.post(token, query, { 'penstock-route': own })).status, 200);
  const refused = [
    await lab.routeToken(userIn(0), token),
    await lab.routeToken(alice, await lab.accessToken(alice, { roles: ['x'] })),
    await lab.routeToken(alice, token, { exp: Math.floor(Date.now() / 1_000) - 30, iat: 0 }),
    await lab.routeToken(alice, token, { aud: 'other' }),
    token,
  ];
  for (const [index, bad] of refused.entries()) {
    const { status, code } = await outcome(await gateway.post(token, query, { 'penstock-route': bad }));
    assert.deepEqual([status, code], [401, 'UNAUTHENTICATED'], String(index));
  }
});
