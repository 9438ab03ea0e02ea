import assert from 'node:assert/strict';
import { test } from 'node:test';
import { originReader } from '../../../../services/router/origins/client-origin.ts';

const lie = { 'x-forwarded-for': '6.6.6.6', 'x-forwarded-proto': 'https' };

test('a client that is no trusted proxy is believed nothing', () => {
  assert.deepEqual(originReader([])(lie, '10.0.0.1'), { address: '10.0.0.1', secure: false });
  assert.deepEqual(originReader(['10.0.0.2'])(lie, '::ffff:10.0.0.1'), { address: '10.0.0.1', secure: false });
});

test('behind trusted proxies the client is the last address that is none of them', () => {
  const read = originReader(['10.0.0.0/8', 'fd00::/8']);
  const table: [forwarded: string | undefined, peer: string, address: string][] = [
    ['1.2.3.4', '10.0.0.1', '1.2.3.4'],
    ['6.6.6.6, 1.2.3.4', '10.0.0.1', '1.2.3.4'],
    ['1.2.3.4, 10.9.9.9', '10.0.0.1', '1.2.3.4'],
    ['10.1.1.1, 10.9.9.9', '10.0.0.1', '10.1.1.1'],
    ['1.2.3.4, nonsense', '10.0.0.1', '10.0.0.1'],
    ['2001:db8::1', 'fd00::5', '2001:db8::1'],
    [undefined, '10.0.0.1', '10.0.0.1'],
    ['', '::ffff:10.0.0.1', '10.0.0.1'],
  ];
  for (const [forwarded, peer, address] of table) {
    assert.equal(read({ 'x-forwarded-for': forwarded }, peer).address, address, `${forwarded} by ${peer}`);
  }
  assert.equal(read({ 'x-forwarded-proto': 'https' }, '10.0.0.1').secure, true);
  assert.equal(read({ 'x-forwarded-proto': 'https, http' }, '10.0.0.1').secure, false);
});

test('a trusted proxy that is neither an address nor a range is refused at start', () => {
  for (const range of ['proxy.example', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/x', 'fd00::/129', '1.2.3.4/8/8', '']) {
    assert.throws(() => originReader([range]), /PENSTOCK_ROUTE_TRUSTED_PROXIES/, range);
  }
});
