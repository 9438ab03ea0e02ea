import assert from 'node:assert/strict';
import { test } from 'node:test';
import { preferredEncoding } from '../../../../services/router/site/accept-encoding.ts';

const both = ['br', 'gzip'];
const cases: readonly [header: string | undefined, available: readonly string[], expected: string | undefined][] = [
  [undefined, both, undefined],
  ['', both, undefined],
  ['gzip, deflate, br, zstd', both, 'br'],
  ['gzip, deflate', both, 'gzip'],
  ['GZIP;q=0.5', both, 'gzip'],
  ['br;q=0, gzip', both, 'gzip'],
  ['br; q=0.000, gzip;q=0', both, undefined],
  ['br;q=0.01', both, 'br'],
  ['*', both, 'br'],
  ['br;q=0, *', both, 'gzip'],
  ['identity', both, undefined],
  ['br', ['gzip'], undefined],
  ['br', [], undefined],
];

for (const [header, available, expected] of cases) {
  test(`of ${available.join(' and ') || 'nothing'} "${header}" gets ${expected}`, () => {
    assert.equal(preferredEncoding(header, available), expected);
  });
}
