import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteClaims } from '../../../lib/auth/index.ts';
import { PenstockError } from '../../../lib/errors.ts';
import type { Tenure } from '../../../lib/ownership/types.ts';
import { checkBinding, openPlacement } from '../../../services/gateway/placement.ts';

const route: RouteClaims = {
  userKey: 'alice',
  accessTokenHash: 'hash',
  partition: 3,
  epoch: 1,
  expiresAtMs: Number.POSITIVE_INFINITY,
};

/** Ownership of partition 3, as the test moves it. */
function tenures(first: Tenure) {
  let tenure = first;
  const listeners: ((partition: number, tenure: Tenure, cause: { event: string }) => void)[] = [];
  return {
    tenure: () => tenure,
    admits: () => tenure.state === 'owned',
    onTransition: (listener: (typeof listeners)[number]) => void listeners.push(listener),
    move(to: Tenure) {
      tenure = to;
      for (const listener of listeners) listener(3, tenure, { event: 'test' });
    },
  };
}

const verifier = {
  verify: async (token: string) => {
    if (token === 'good') return route;
    throw new PenstockError('UNAUTHENTICATED', 'no', { reason: 'invalid' });
  },
};
const owned: Tenure = { state: 'owned', epoch: 1, generation: 1 };

test('a client without a route token is let in anywhere', async () => {
  const placement = openPlacement(verifier, tenures({ state: 'foreign' }), { claimWaitMs: 10 });
  assert.equal(await placement.admit(undefined), undefined);
});

test('a routed client is let in where its partition is owned, and nowhere else', async () => {
  assert.deepEqual(await openPlacement(verifier, tenures(owned), { claimWaitMs: 10 }).admit('good'), route);
  const elsewhere = openPlacement(verifier, tenures({ state: 'foreign' }), { claimWaitMs: 10 });
  await assert.rejects(elsewhere.admit('good'), { code: 'NOT_OWNER' });
});

test('a route token that does not hold is refused before anything else', async () => {
  await assert.rejects(openPlacement(verifier, tenures(owned), { claimWaitMs: 10 }).admit('bad'), {
    code: 'UNAUTHENTICATED',
  });
});

test('a claim under way is waited for', async () => {
  const ownership = tenures({ state: 'claiming', generation: 1, epoch: undefined });
  const placement = openPlacement(verifier, ownership, { claimWaitMs: 60_000 });
  const gained = placement.admit('good');
  const lost = placement.admit('good');
  setImmediate(() => ownership.move(owned));
  assert.deepEqual(await gained, route);
  assert.deepEqual(await lost, route);
});

test('a claim that fails, or takes too long, refuses', async () => {
  const failing = tenures({ state: 'claiming', generation: 1, epoch: undefined });
  const refused = openPlacement(verifier, failing, { claimWaitMs: 60_000 }).admit('good');
  setImmediate(() => failing.move({ state: 'foreign' }));
  await assert.rejects(refused, { code: 'NOT_OWNER' });
  const slow = openPlacement(verifier, tenures({ state: 'claiming', generation: 1, epoch: undefined }), {
    claimWaitMs: 10,
  });
  await assert.rejects(slow.admit('good'), { code: 'NOT_OWNER' });
});

test('a route token serves only the access token that it is bound to', () => {
  const caller = { userKey: 'alice', roles: [], expiresAtMs: 0, accessTokenHash: 'hash' };
  checkBinding(undefined, caller);
  checkBinding(route, caller);
  for (const other of [
    { ...caller, userKey: 'bob' },
    { ...caller, accessTokenHash: 'other' },
  ]) {
    assert.throws(() => checkBinding(route, other), { code: 'UNAUTHENTICATED' });
  }
});
