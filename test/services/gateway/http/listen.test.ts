import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { listenOn } from '../../../../services/gateway/http/listen.ts';

test('an address that is in use is named, and the others are given back', async () => {
  // It does not share its port.
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const taken = `127.0.0.1:${(holder.address() as AddressInfo).port}`;
  await assert.rejects(
    listenOn(['127.0.0.1:0', taken], 32_768, () => {}),
    { message: `can't listen on ${taken}` },
  );
  holder.close();
});
