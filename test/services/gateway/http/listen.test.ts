import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenOn, parseAddress } from '../../../../services/gateway/http/listen.ts';

test('addresses are host:port, IPv6 hosts in brackets', () => {
  assert.deepEqual(parseAddress('127.0.0.1:80'), { host: '127.0.0.1', port: 80 });
  assert.deepEqual(parseAddress('localhost:0'), { host: 'localhost', port: 0 });
  assert.deepEqual(parseAddress('[::1]:8080'), { host: '::1', port: 8080 });
  for (const bad of ['', '80', ':80', '127.0.0.1', '127.0.0.1:', '127.0.0.1:65536', '::1:80', 'host:port']) {
    assert.throws(() => parseAddress(bad), /host:port/, bad);
  }
});

test('an address that is in use is named, and the others are given back', async () => {
  const first = await listenOn(['127.0.0.1:0'], () => {});
  const [url = ''] = first.urls;
  const taken = url.slice('http://'.length);
  // Another listener without SO_REUSEPORT holds the port.
  await assert.rejects(
    listenOn(['127.0.0.1:0', taken], () => {}),
    { message: `can't listen on ${taken}` },
  );
  for (const server of first.servers) server.close();
});
