import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { openHmac } from '../../../lib/replay/hmac.ts';

test('the HMAC is the one of node:crypto, for every key length and text', () => {
  const bytes = (most: number) => fc.uint8Array({ maxLength: most }).map(array => Buffer.from(array));
  fc.assert(
    fc.property(bytes(200), bytes(500), (key, text) => {
      const { innerPad, digest } = openHmac(key);
      const ours = Buffer.from(digest(Buffer.concat([innerPad, text])), 'latin1');
      assert.deepEqual(ours, createHmac('sha256', key).update(text).digest());
    }),
  );
});
