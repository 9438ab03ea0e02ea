import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import {
  type AuthDatabase,
  faultOf,
  type KeyStore,
  openAccessTokens,
  openAuthDatabase,
  openKeyStore,
  openRouteTokens,
} from '../../../lib/auth/index.ts';
import { PenstockError } from '../../../lib/errors.ts';
import type { Ops } from '../../../lib/ops/index.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { until } from '../../support/until.ts';

const auth = {
  issuer: 'penstock',
  audience: 'penstock',
  jwksUrl: undefined,
  localSignUp: true,
  localRoles: {},
  tokenTtlSeconds: 3_600,
  keyRotationSeconds: 604_800,
};
interface Opened {
  store: KeyStore;
  database: AuthDatabase;
  ops: Ops;
  close(): Promise<void>;
}
let scratch: ScratchPostgres;
before(async () => {
  scratch = await scratchPostgres();
});
after(() => scratch.drop());

function open(keyRotationSeconds = auth.keyRotationSeconds, url = scratch.url): Opened {
  const ops = quietOps();
  const database = openAuthDatabase({ url, poolSize: 2 }, ops);
  const store = openKeyStore({ auth: { ...auth, keyRotationSeconds }, routeTokenTtlSeconds: 60 }, database, ops);
  return {
    store,
    database,
    ops,
    async close() {
      await store.close();
      await database.close();
    },
  };
}
const ready = ({ ops }: Opened): Promise<unknown> =>
  until('the keys are loaded', () => ops.readiness.reasons().keys === undefined);
const kidsOf = ({ store }: Opened): (string | undefined)[] => store.jwks().keys.map(key => key.kid);
const claims = { userKey: 'alice', accessTokenHash: 'h'.repeat(43), partition: 3, epoch: 9 };
const inAnHour = (): number => Date.now() + 3_600_000;

test('keys that could not be loaded are asked for again soon, not after the usual time', async () => {
  const ops = quietOps();
  let asked = 0;
  const database = openAuthDatabase({ url: scratch.url, poolSize: 2 }, ops);
  const flaky: AuthDatabase = {
    ...database,
    query: (...query) =>
      asked++ === 0 ? Promise.reject(new PenstockError('UNAVAILABLE', 'Query read timeout')) : database.query(...query),
  };
  const store = openKeyStore({ auth, routeTokenTtlSeconds: 60 }, flaky, ops);
  await until('the keys are loaded', () => ops.readiness.reasons().keys === undefined);
  assert.ok(asked > 1);
  await store.close();
  await database.close();
});

describe('the key store', () => {
  test('of routers that start at once makes one key for each use, which all of them serve', async () => {
    const routers = [open(), open(), open()];
    await Promise.all(routers.map(ready));
    const [first] = routers.map(kidsOf);
    assert.equal(first?.length, 2);
    for (const router of routers) assert.deepEqual(kidsOf(router), first);
    await Promise.all(routers.map(router => router.close()));
  });

  test('signs tokens that the verifiers accept, each for its own use only, on every router', async () => {
    const [one, other] = [open(), open()];
    await Promise.all([ready(one), ready(other)]);
    const access = openAccessTokens(auth, { localKeys: other.store.keys }, quietOps());
    const routes = openRouteTokens({ localKeys: other.store.keys }, quietOps());
    const accessToken = (await one.store.signAccess({ userKey: 'alice', roles: ['auditor'] })).token;
    const routeToken = (await one.store.signRoute({ ...claims, notAfterMs: inAnHour() })).token;
    assert.deepEqual((await access.verify(accessToken)).roles, ['auditor']);
    const { expiresAtMs, ...route } = await routes.verify(routeToken);
    assert.deepEqual(route, claims);
    assert.ok(expiresAtMs <= Date.now() + 60_000);
    assert.equal(faultOf(await access.verify(routeToken).catch((error: unknown) => error)), 'invalid');
    assert.equal(faultOf(await routes.verify(accessToken).catch((error: unknown) => error)), 'invalid');
    await one.close();
    await other.close();
  });

  test('never serves a private key', async () => {
    const router = open();
    await ready(router);
    for (const key of router.store.jwks().keys) {
      assert.deepEqual(Object.keys(key).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    }
    await router.close();
  });

  test('never signs a route token that outlives its access token', async () => {
    const router = open();
    await ready(router);
    const signed = await router.store.signRoute({ ...claims, notAfterMs: Date.now() + 10_500 });
    const { iat = 0, exp = 0 } = decodeJwt(signed.token);
    assert.ok(exp - iat <= 10);
    assert.equal(signed.expiresInSeconds, exp - iat);
    await router.close();
  });

  test('publishes a new key before it signs, and keeps the old one for the tokens that it signed', async () => {
    await scratch.query('DELETE FROM penstock_auth.signing_key');
    const before = open();
    await ready(before);
    const { token } = await before.store.signAccess({ userKey: 'alice', roles: [] });
    const oldKid = decodeProtectedHeader(token).kid;
    await before.close();

    // As if nearly a rotation had passed: the successor is due, but does not sign yet.
    await scratch.query('UPDATE penstock_auth.signing_key SET signs_from_ms = signs_from_ms - $1::bigint', [
      (auth.keyRotationSeconds - 60) * 1_000,
    ]);
    const during = open();
    await ready(during);
    assert.equal(kidsOf(during).length, 4);
    const again = await during.store.signAccess({ userKey: 'alice', roles: [] });
    assert.equal(decodeProtectedHeader(again.token).kid, oldKid);
    await during.close();

    await scratch.query('UPDATE penstock_auth.signing_key SET signs_from_ms = signs_from_ms - $1::bigint', [600_000]);
    const afterwards = open();
    await ready(afterwards);
    const fresh = await afterwards.store.signAccess({ userKey: 'alice', roles: [] });
    assert.notEqual(decodeProtectedHeader(fresh.token).kid, oldKid);
    const tokens = openAccessTokens(auth, { localKeys: afterwards.store.keys }, quietOps());
    assert.equal((await tokens.verify(token)).userKey, 'alice', 'a token of the old key still holds');
    await afterwards.close();

    await scratch.query('UPDATE penstock_auth.signing_key SET signs_from_ms = signs_from_ms - $1::bigint', [
      (3_600 + 3_600 + 20) * 1_000,
    ]);
    const later = open();
    await ready(later);
    assert.ok(!kidsOf(later).includes(oldKid), 'its last token has expired');
    await later.close();
  });

  test('waits for a PostgreSQL that is away at start, saying so, and signs as soon as it is there', async () => {
    const url = new URL(scratch.url);
    const name = `${url.pathname.slice(1)}_late`;
    url.pathname = `/${name}`;
    const router = open(auth.keyRotationSeconds, url.href);
    await until('the reason is named', () => router.ops.readiness.reasons().postgres?.includes('does not exist'));
    assert.throws(
      () => router.store.jwks(),
      (error: unknown) => error instanceof PenstockError && error.code === 'UNAVAILABLE',
    );
    await assert.rejects(
      router.store.signAccess({ userKey: 'alice', roles: [] }),
      (error: unknown) => error instanceof PenstockError && error.code === 'UNAVAILABLE',
    );
    await scratch.query(`CREATE DATABASE ${name}`);
    await ready(router);
    assert.equal(router.ops.readiness.reasons().postgres, undefined);
    await router.store.signAccess({ userKey: 'alice', roles: [] });

    // And away again: what is in memory goes on.
    await scratch.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await until('the outage is seen', () => router.ops.readiness.reasons().postgres);
    await router.store.signRoute({ ...claims, notAfterMs: inAnHour() });
    assert.equal(router.store.jwks().keys.length, 2);
    await assert.rejects(
      router.database.query('SELECT 1'),
      (error: unknown) => error instanceof PenstockError && error.code === 'UNAVAILABLE',
    );
    await router.close();
  });
});
