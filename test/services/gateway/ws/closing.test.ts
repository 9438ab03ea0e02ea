import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PenstockError } from '../../../../lib/errors.ts';
import { closingFor } from '../../../../services/gateway/ws/server.ts';

const refused = (reason: string) => new PenstockError('UNAUTHENTICATED', 'refused', { reason });

test('only what the client is to blame for is final: a token from the future means that a clock is wrong', () => {
  assert.deepEqual(
    [refused('invalid'), refused('missing'), refused('expired'), refused('early'), new Error('no keys')].map(
      error => closingFor(error)[0],
    ),
    [4401, 4401, 4403, 1013, 1013],
  );
});
