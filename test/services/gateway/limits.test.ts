import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Limit } from '../../../lib/errors.ts';
import { answerCommands, type GatewayLab, openGatewayLab, type TestGateway, userIn } from '../../support/gateway.ts';
import { openRawSocket, type RawSocket } from '../../support/raw-socket.ts';
import { until } from '../../support/until.ts';

let lab: GatewayLab;
let gateway: TestGateway;
let handler: Awaited<ReturnType<typeof answerCommands>>;
let token: string;
const alice = userIn(0);
const sockets: RawSocket[] = [];

before(async () => {
  lab = await openGatewayLab();
  const env = {
    PENSTOCK_GATEWAY_MAX_SUBSCRIPTIONS: '3',
    PENSTOCK_GATEWAY_MAX_CONNECTIONS: '4',
    PENSTOCK_GATEWAY_MAX_PENDING: '1',
    PENSTOCK_GATEWAY_MAX_COMMANDS: '2',
    PENSTOCK_GATEWAY_MAX_REQUEST_BYTES: '60000',
    PENSTOCK_GATEWAY_MAX_RESPONSE_BYTES: '65536',
    PENSTOCK_HTTP_MAX_HEADER_BYTES: '20000',
  };
  [gateway, handler] = await Promise.all([lab.gateway({ env }), answerCommands(lab)]);
  token = await lab.accessToken(alice);
});

after(async () => {
  for (const { socket } of sockets) socket.terminate();
  await handler.close();
  await lab.close();
});

const many = (times: number, text: (index: number) => string) =>
  Array.from({ length: times }, (_, i) => text(i)).join(' ');
const doubling = (on: string, last: string) =>
  `${many(40, i => `fragment F${i} on ${on} { ...F${i + 1} ...F${i + 1} }`)} fragment F40 on ${on} { ${last} }`;
const nested = (levels: number) => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`) as unknown;
const json = 'application/graphql-response+json';
const eventStream = 'text/event-stream';

const refused = (limit: Limit, transport: string) =>
  gateway.metric(`penstock_limit_refused_total{limit="${limit}",transport="${transport}"}`).then(count => count || 0);

/** Asserts that what is done is refused once by the limit, and counted. */
async function counted<Result>(limit: Limit, transport: string, work: () => Promise<Result>): Promise<Result> {
  const earlier = await refused(limit, transport);
  const result = await work();
  await until(`${limit} over ${transport}`, async () => (await refused(limit, transport)) > earlier);
  assert.equal(await refused(limit, transport), earlier + 1, `${limit} over ${transport}`);
  return result;
}

async function raw(): Promise<RawSocket> {
  const socket = await openRawSocket(gateway.wsUrl);
  sockets.push(socket);
  return socket;
}

async function greeted(): Promise<RawSocket> {
  const socket = await raw();
  await socket.greet(token);
  return socket;
}

async function errorOver(socket: RawSocket, payload: object, id = 'x'): Promise<object> {
  const seen = socket.received.length;
  socket.send({ id, type: 'subscribe', payload });
  const message = await until('an answer', () => socket.received.slice(seen).find(message => message.id === id));
  assert.equal(message.type, 'error', JSON.stringify(message).slice(0, 300));
  return message.payload[0].extensions;
}

async function limitIn(response: Response): Promise<unknown> {
  const text = (await response.text()).replace(/^event: next\ndata: (.*)\n[\s\S]*$/, '$1');
  const [error] = JSON.parse(text).errors;
  assert.equal(error.extensions.code, 'LIMIT_EXCEEDED', text);
  return error.extensions.limit;
}

test('a document that is past a limit is refused by it over HTTP, SSE and WebSocket, and others are served', async () => {
  const table: readonly [Limit, object][] = [
    ['PENSTOCK_GATEWAY_MAX_FIELDS', { query: `{ ...F0 } ${doubling('Query', '__typename')}` }],
    ['PENSTOCK_GATEWAY_MAX_FIELDS', { query: `subscription { ...F0 } ${doubling('Subscription', 'notes { n }')}` }],
    ['PENSTOCK_GATEWAY_MAX_FIELDS', { query: `subscription { notes { ...F0 } } ${doubling('Note', 'n')}` }],
    ['PENSTOCK_GATEWAY_MAX_ALIASES', { query: `{ ${many(60, i => `a${i}: __typename`)} }` }],
    ['PENSTOCK_GATEWAY_MAX_DEPTH', { query: `{ __schema ${'{ types '.repeat(25)}{ name }${' }'.repeat(26)}` }],
    ['PENSTOCK_GATEWAY_MAX_DEPTH', { query: '{ notes '.repeat(1_900) }],
    ['PENSTOCK_GATEWAY_MAX_DEPTH', { query: 'query($v: ID) { __typename }', variables: { v: nested(1_000) } }],
    ['PENSTOCK_GATEWAY_MAX_TOKENS', { query: `{ ${'__typename '.repeat(4_001)} }` }],
    ['PENSTOCK_GATEWAY_MAX_NAME_LENGTH', { query: `{ ${'a'.repeat(129)}: __typename }` }],
    ['PENSTOCK_GATEWAY_MAX_NAME_LENGTH', { query: '{ __typename }', operationName: 'A'.repeat(129) }],
  ];
  const socket = await greeted();
  for (const [limit, body] of table) {
    const what = `${limit} ${JSON.stringify(body).slice(0, 60)}`;
    const strict = await counted(limit, 'http', () => gateway.post(token, body, { accept: json }));
    assert.deepEqual([strict.status, await limitIn(strict)], [400, limit], what);
    const plain = await counted(limit, 'http', () => gateway.post(token, body, { accept: 'application/json' }));
    assert.deepEqual([plain.status, await limitIn(plain)], [200, limit], what);
    const events = await counted(limit, 'sse', () => gateway.post(token, body, { accept: eventStream }));
    assert.deepEqual([events.status, await limitIn(events)], [200, limit], what);
    const error = await counted(limit, 'ws', () => errorOver(socket, body));
    assert.deepEqual(error, { code: 'LIMIT_EXCEEDED', limit }, what);
    const served = await gateway.post(token, { query: '{ __typename }' });
    assert.deepEqual(await served.json(), { data: { __typename: 'Query' } });
  }
  socket.socket.terminate();
});

test('a result over its limit is refused, and so is an event, which ends its stream', async () => {
  const query = `{ ${many(49, i => `a${i}: __schema { types { name description fields { name description } } }`)} }`;
  const limit = 'PENSTOCK_GATEWAY_MAX_RESPONSE_BYTES';
  const response = await counted(limit, 'http', () => gateway.post(token, { query }, { accept: json }));
  assert.deepEqual([response.status, await limitIn(response)], [400, limit]);

  const socket = await greeted();
  assert.deepEqual(await counted(limit, 'ws', () => errorOver(socket, { query })), { code: 'LIMIT_EXCEEDED', limit });

  await lab.note(alice, 1, { text: 'x'.repeat(10_000) });
  const stream = {
    query: `subscription { notes { ${many(10, i => `t${i}: text`)} } }`,
    extensions: { from: 'earliest' },
  };
  const events = await counted(limit, 'sse', async () => {
    const response = await gateway.post(token, stream, { accept: eventStream });
    return response.text();
  });
  assert.match(events, /event: next\ndata: \{"errors":\[\{.*"limit":"PENSTOCK_GATEWAY_MAX_RESPONSE_BYTES"/);
  assert.match(events, /event: complete/);
  const seen = await counted(limit, 'ws', async () => {
    socket.send({ id: 'large', type: 'subscribe', payload: stream });
    return until('an error', () => socket.received.find(({ id, type }) => id === 'large' && type === 'error'));
  });
  assert.deepEqual(seen.payload[0].extensions, { code: 'LIMIT_EXCEEDED', limit });
  socket.socket.terminate();
});

test("feedback that makes too large an event ends its subscription, and nobody else's", async () => {
  const limit = 'PENSTOCK_GATEWAY_MAX_RESPONSE_BYTES';
  const say = (fields: string) => `(text: "${'x'.repeat(2_000)}", times: 2) { ${fields} }`;
  const large = say(many(49, i => `t${i}: text`));
  const socket = await greeted();
  socket.send({ id: 'small', type: 'subscribe', payload: { query: `subscription { say${say('step')} }` } });
  const error = await counted(limit, 'ws', () => errorOver(socket, { query: `subscription { say${large} }` }));
  assert.deepEqual(error, { code: 'LIMIT_EXCEEDED', limit });
  await until('the other is complete', () =>
    socket.received.some(({ id, type }) => id === 'small' && type === 'complete'),
  );
  await counted(limit, 'http', async () => {
    const response = await gateway.post(token, { query: `mutation { say${large} }` }, { accept: json });
    assert.deepEqual([response.status, await limitIn(response)], [400, limit]);
  });
  await until('none is in flight', async () => (await gateway.metric('penstock_gateway_commands_in_flight')) === 0);
  socket.socket.terminate();
});

test("an operation's id is no longer than it may be", async () => {
  const socket = await greeted();
  const limit = 'PENSTOCK_GATEWAY_MAX_OPERATION_ID_LENGTH';
  const body = { query: '{ __typename }' };
  assert.deepEqual(await counted(limit, 'ws', () => errorOver(socket, body, 'i'.repeat(129))), {
    code: 'LIMIT_EXCEEDED',
    limit,
  });
  socket.send({ id: 'i'.repeat(128), type: 'subscribe', payload: body });
  await until('the answer', () => socket.received.some(({ type }) => type === 'next'));
  socket.socket.terminate();
});

test('operations, sockets and event streams are counted, and one too many is refused by its limit', async () => {
  const body = { query: 'subscription { notes { n } }' };
  const first = await greeted();
  for (const id of ['1', '2', '3']) first.send({ id, type: 'subscribe', payload: body });
  const operations = 'PENSTOCK_GATEWAY_MAX_SUBSCRIPTIONS';
  const error = await counted(operations, 'ws', () => errorOver(first, body, '4'));
  assert.deepEqual(error, { code: 'LIMIT_EXCEEDED', limit: operations });

  const silent = await raw();
  const second = await counted('PENSTOCK_GATEWAY_MAX_PENDING', 'ws', raw);
  assert.equal((await second.closed()).code, 1013);
  await silent.greet(token);
  for (let count = 2; count < 4; count++) await greeted();
  const fifth = await counted('PENSTOCK_GATEWAY_MAX_CONNECTIONS', 'ws', raw);
  assert.equal((await fifth.closed()).code, 1013);

  const leaving = new AbortController();
  const open = () =>
    fetch(`${gateway.url}/graphql?query=${encodeURIComponent(body.query)}`, {
      headers: { authorization: `Bearer ${token}`, accept: eventStream },
      signal: leaving.signal,
    });
  for (let count = 0; count < 4; count++) assert.equal((await open()).status, 200);
  const one = await counted('PENSTOCK_GATEWAY_MAX_CONNECTIONS', 'sse', open);
  assert.equal(one.status, 429);
  assert.match(one.headers.get('retry-after') ?? '', /^[1-5]$/);
  assert.equal(await limitIn(one), 'PENSTOCK_GATEWAY_MAX_CONNECTIONS');
  leaving.abort();
  for (const { socket } of sockets) socket.terminate();
  await until('they have gone', async () => (await gateway.metric('penstock_gateway_connections')) === 0);
});

test('commands that wait for their feedback are limited: 429 over HTTP and SSE, an error over WebSocket', async () => {
  const limit = 'PENSTOCK_GATEWAY_MAX_COMMANDS';
  const body = { query: 'mutation { say(text: "x", times: 0) { text } }' };
  const leaving = new AbortController();
  const command = {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: leaving.signal,
  };
  const waiting = [1, 2].map(() => fetch(`${gateway.url}/graphql`, command));
  await until('they wait', async () => (await gateway.metric('penstock_gateway_commands_in_flight')) === 2);
  for (const accept of [json, 'application/json']) {
    const response = await counted(limit, 'http', () => gateway.post(token, body, { accept }));
    assert.deepEqual([response.status, await limitIn(response)], [429, limit]);
    assert.match(response.headers.get('retry-after') ?? '', /^[1-5]$/);
  }
  const socket = await greeted();
  for (const query of [body.query, body.query.replace('mutation', 'subscription')]) {
    const events = await counted(limit, 'sse', () => gateway.post(token, { query }, { accept: eventStream }));
    assert.deepEqual([events.status, await limitIn(events)], [429, limit]);
    assert.match(events.headers.get('retry-after') ?? '', /^[1-5]$/);
    const error = await counted(limit, 'ws', () => errorOver(socket, { query }));
    assert.deepEqual(error, { code: 'LIMIT_EXCEEDED', limit });
  }
  socket.socket.terminate();
  leaving.abort();
  for (const command of waiting) await assert.rejects(command);
  await until('none waits', async () => (await gateway.metric('penstock_gateway_commands_in_flight')) === 0);
});

test('a command that is larger than its topic takes is refused by 413 and by an error', async () => {
  const limit = 'max.message.bytes';
  const text = 'x'.repeat(40_000);
  const query = 'mutation($text: String!) { say(text: $text, times: 1) { text } }';
  for (const [accept, transport] of [
    [json, 'http'],
    ['application/json', 'http'],
    [eventStream, 'sse'],
  ] as const) {
    const response = await counted(limit, transport, () =>
      gateway.post(token, { query, variables: { text } }, { accept }),
    );
    assert.deepEqual([response.status, await limitIn(response)], [413, limit], accept);
  }
  const socket = await greeted();
  for (const document of [query, query.replace('mutation', 'subscription')]) {
    const error = await counted(limit, 'ws', () => errorOver(socket, { query: document, variables: { text } }));
    assert.partialDeepStrictEqual(error, { code: 'LIMIT_EXCEEDED', limit });
  }
  socket.socket.terminate();
});

test('what is too large is refused by its limit: a body, the headers, a message', async () => {
  const limit = 'PENSTOCK_GATEWAY_MAX_REQUEST_BYTES';
  const body = { query: `{ __typename } # ${'x'.repeat(60_000)}` };
  const response = await counted(limit, 'http', () => gateway.post(token, body));
  assert.deepEqual([response.status, await limitIn(response)], [413, limit]);
  const headers = 'PENSTOCK_HTTP_MAX_HEADER_BYTES';
  const long = await counted(headers, 'http', () => gateway.post(token, {}, { 'x-long': 'x'.repeat(20_000) }));
  assert.deepEqual([long.status, await limitIn(long)], [431, headers]);
  const socket = await greeted();
  await counted(limit, 'ws', async () => {
    socket.send({ id: '1', type: 'subscribe', payload: body });
    assert.equal((await socket.closed()).code, 1009);
  });
});
