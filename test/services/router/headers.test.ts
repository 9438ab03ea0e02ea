import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerHeaders, httpHeaders, upgradeHeaders } from '../../../services/router/headers.ts';

const router = {
  routeToken: 'minted',
  traceparent: '00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01',
  clientAddress: '10.0.0.1',
  secure: false,
};
const forged = {
  'penstock-route': 'forged',
  'penstock-user': 'root',
  'x-forwarded-for': '6.6.6.6',
  'x-forwarded-host': 'evil',
  'x-forwarded-proto': 'https',
  'x-forwarded-user': 'root',
  forwarded: 'for=6.6.6.6',
  'x-real-ip': '6.6.6.6',
  'x-user': 'root',
  'x-user-id': 'root',
  'x-remote-user': 'root',
  'remote-user': 'root',
  'x-auth-request-user': 'root',
  'x-authenticated-user': 'root',
};
const spoken = {
  'penstock-route': 'minted',
  traceparent: router.traceparent,
  'x-forwarded-for': '10.0.0.1',
  'x-forwarded-proto': 'http',
};

test('a gateway sees no claim of identity that a client made', () => {
  assert.deepEqual(httpHeaders({ ...forged, accept: '*/*' }, router, undefined), { accept: '*/*', ...spoken });
});

test('a gateway sees the access token of a request, and never a cookie', () => {
  const headers = httpHeaders({ authorization: 'Bearer t', cookie: 'penstock_route=c' }, router, undefined);
  assert.deepEqual(headers, { authorization: 'Bearer t', ...spoken });
});

test('what concerns one connection stays on it, also where the client names it so', () => {
  const headers = httpHeaders(
    {
      connection: 'keep-alive, X-Once',
      'x-once': '1',
      'keep-alive': 'timeout=5',
      te: 'trailers',
      'transfer-encoding': 'chunked',
      'proxy-authorization': 'Basic x',
      upgrade: 'h2c',
      expect: '100-continue',
      'content-length': '999',
      'x-kept': '1',
    },
    router,
    12,
  );
  assert.deepEqual(headers, { 'x-kept': '1', 'content-length': '12', ...spoken });
});

test('an upgrade carries the handshake and one credential, the route token', () => {
  const headers = upgradeHeaders(
    {
      ...forged,
      host: 'h',
      connection: 'keep-alive, Upgrade',
      upgrade: 'WebSocket',
      'sec-websocket-key': 'k',
      'sec-websocket-version': '13',
      'sec-websocket-extensions': 'permessage-deflate',
      'sec-websocket-protocol': 'a, graphql-transport-ws',
      authorization: 'Bearer t',
      cookie: 'penstock_route=c',
      origin: 'http://h',
    },
    router,
    'graphql-transport-ws',
  );
  assert.deepEqual(headers, {
    host: 'h',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': 'k',
    'sec-websocket-version': '13',
    'sec-websocket-extensions': 'permessage-deflate',
    'sec-websocket-protocol': 'graphql-transport-ws',
    origin: 'http://h',
    ...spoken,
  });
});

test('an answer keeps its headers, repeated ones too, but not those of the connection to the gateway', () => {
  assert.deepEqual(
    answerHeaders(['Connection', 'x-a', 'X-A', '1', 'Set-Cookie', 'a', 'Set-Cookie', 'b', 'Keep-Alive', 'timeout=5']),
    ['Set-Cookie', 'a', 'Set-Cookie', 'b'],
  );
});
