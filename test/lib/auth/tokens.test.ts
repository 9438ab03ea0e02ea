import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { faultOf, openAccessTokens, openRouteTokens } from '../../../lib/auth/index.ts';
import { PenstockError } from '../../../lib/errors.ts';
import { type JwksServer, jwksServer } from '../../support/jwks-server.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { macToken, type TokenMaker, tampered, tokenMaker, unsignedToken } from '../../support/token-maker.ts';
import { until } from '../../support/until.ts';

const config = {
  issuer: 'penstock',
  audience: 'penstock',
  jwksUrl: undefined,
  localSignUp: false,
  localRoles: {},
  tokenTtlSeconds: 3_600,
  keyRotationSeconds: 604_800,
};
const nowSeconds = (): number => Math.floor(Date.now() / 1_000);
const accessClaims = () => ({
  iss: 'penstock',
  aud: 'penstock',
  sub: 'alice',
  roles: ['auditor'],
  iat: nowSeconds(),
  exp: nowSeconds() + 600,
});
const routeClaims = () => ({
  iss: 'penstock-router',
  aud: 'penstock-gateway',
  sub: 'alice',
  ath: 'a'.repeat(43),
  partition: 7,
  epoch: 3,
  iat: nowSeconds(),
  exp: nowSeconds() + 60,
  jti: 'j',
});

let access: TokenMaker;
let route: TokenMaker;
let foreign: TokenMaker;
let jwks: JwksServer;
before(async () => {
  access = await tokenMaker('access-1');
  route = await tokenMaker('route-1');
  foreign = await tokenMaker('access-1');
  jwks = await jwksServer({ keys: [access.publicJwk, route.publicJwk] });
});
after(() => jwks.close());

describe('an access token', () => {
  test('that holds says who calls, and keeps saying it from memory', async () => {
    const tokens = openAccessTokens(config, { localJwksUrl: jwks.url }, quietOps());
    const claims = accessClaims();
    const token = await access.sign(claims);
    const expected = {
      userKey: 'alice',
      roles: ['auditor'],
      expiresAtMs: claims.exp * 1_000,
      accessTokenHash: createHash('sha256').update(token).digest('base64url'),
    };
    assert.deepEqual(await tokens.verify(token), expected);
    assert.deepEqual(await tokens.verify(token), expected);
    await tokens.close();
  });

  test('without roles is one of a caller without roles', async () => {
    const tokens = openAccessTokens(config, { localJwksUrl: jwks.url }, quietOps());
    const { roles: _, ...claims } = accessClaims();
    assert.deepEqual((await tokens.verify(await access.sign(claims))).roles, []);
    await tokens.close();
  });

  const faults: Record<string, { token: () => Promise<string> | string | undefined; reason: string }> = {
    'that is missing': { token: () => undefined, reason: 'missing' },
    'that is no token': { token: () => 'abc', reason: 'invalid' },
    'that is huge': { token: () => `${'a'.repeat(20_000)}.b.c`, reason: 'invalid' },
    'that has expired': {
      token: () => access.sign({ ...accessClaims(), exp: nowSeconds() - 10 }),
      reason: 'expired',
    },
    'that has expired and is forged': {
      token: async () => tampered(await access.sign({ ...accessClaims(), exp: nowSeconds() - 10 })),
      reason: 'invalid',
    },
    'that never expires': { token: () => access.sign({ ...accessClaims(), exp: undefined }), reason: 'invalid' },
    'of another issuer': { token: () => access.sign({ ...accessClaims(), iss: 'https://evil' }), reason: 'invalid' },
    'signed by a stranger under our key id': { token: () => foreign.sign(accessClaims()), reason: 'invalid' },
    'signed by a key of another use': {
      token: () => access.sign(accessClaims(), { kid: 'other-9' }),
      reason: 'invalid',
    },
    'for another audience': { token: () => access.sign({ ...accessClaims(), aud: 'other' }), reason: 'invalid' },
    'of another typ': { token: () => access.sign(accessClaims(), { typ: 'JWT' }), reason: 'invalid' },
    'without a signature (alg none)': {
      token: () => unsignedToken(accessClaims(), { kid: 'access-1' }),
      reason: 'invalid',
    },
    'with our public key as MAC key (HS256)': {
      token: () => macToken(accessClaims(), access.publicJwk),
      reason: 'invalid',
    },
    'with a bit changed': { token: async () => tampered(await access.sign(accessClaims())), reason: 'invalid' },
    'not valid yet': { token: () => access.sign({ ...accessClaims(), nbf: nowSeconds() + 60 }), reason: 'early' },
    'not valid yet, and forged': {
      token: async () => tampered(await access.sign({ ...accessClaims(), nbf: nowSeconds() + 60 })),
      reason: 'invalid',
    },
    'issued in the future': {
      token: () => access.sign({ ...accessClaims(), iat: nowSeconds() + 60 }),
      reason: 'early',
    },
    'with an empty sub': { token: () => access.sign({ ...accessClaims(), sub: '' }), reason: 'invalid' },
    'with a sub of 257 characters': {
      token: () => access.sign({ ...accessClaims(), sub: 'x'.repeat(257) }),
      reason: 'invalid',
    },
    'with NUL in its sub': { token: () => access.sign({ ...accessClaims(), sub: 'a\u0000b' }), reason: 'invalid' },
    'with half a character in its sub': {
      token: () => access.sign({ ...accessClaims(), sub: 'a\ud800' }),
      reason: 'invalid',
    },
    'with roles that are no list': {
      token: () => access.sign({ ...accessClaims(), roles: 'auditor' }),
      reason: 'invalid',
    },
    'that is a route token': {
      token: () => route.sign(routeClaims(), { typ: 'penstock-route+jwt' }),
      reason: 'invalid',
    },
    'signed by a key for route tokens': { token: () => route.sign(accessClaims()), reason: 'invalid' },
  };
  for (const [name, { token, reason }] of Object.entries(faults)) {
    test(`${name} is refused as ${reason}`, async () => {
      const tokens = openAccessTokens(config, { localJwksUrl: jwks.url }, quietOps());
      const error: unknown = await tokens.verify(await token()).catch((thrown: unknown) => thrown);
      assert.ok(error instanceof PenstockError, String(error));
      assert.equal(error.code, 'UNAUTHENTICATED');
      assert.equal(faultOf(error), reason);
      await tokens.close();
    });
  }

  test('that was remembered is refused as soon as it has expired', async () => {
    let nowMs = Date.now();
    const tokens = openAccessTokens(config, { localJwksUrl: jwks.url }, quietOps(), { now: () => nowMs });
    const token = await access.sign({ ...accessClaims(), exp: nowSeconds() + 30 });
    await tokens.verify(token);
    nowMs += 40_000;
    assert.equal(faultOf(await tokens.verify(token).catch((thrown: unknown) => thrown)), 'expired');
    await tokens.close();
  });

  test('of an external issuer is verified with that issuer’s keys, whatever their ids and algorithm', async () => {
    const issuer = await tokenMaker('2024-05', 'RS256');
    const server = await jwksServer({ keys: [issuer.publicJwk] });
    const tokens = openAccessTokens(
      { ...config, issuer: 'https://id.example', jwksUrl: server.url },
      { localJwksUrl: jwks.url },
      quietOps(),
      { jwks: { cooldownMs: 0 } },
    );
    const claims = { ...accessClaims(), iss: 'https://id.example' };
    assert.equal((await tokens.verify(await issuer.sign(claims))).userKey, 'alice');
    const local: unknown = await tokens.verify(await access.sign(claims)).catch((thrown: unknown) => thrown);
    assert.equal(faultOf(local), 'invalid');
    await tokens.close();
    await server.close();
  });
});

describe('a route token', () => {
  const verifyRoute = async (token: string) => {
    const tokens = openRouteTokens({ jwksUrl: jwks.url }, quietOps());
    try {
      return await tokens.verify(token);
    } finally {
      await tokens.close();
    }
  };
  const typ = 'penstock-route+jwt';

  test('that holds says for whom, bound to which access token, and which partition', async () => {
    const claims = routeClaims();
    assert.deepEqual(await verifyRoute(await route.sign(claims, { typ })), {
      userKey: 'alice',
      accessTokenHash: claims.ath,
      partition: 7,
      epoch: 3,
      expiresAtMs: claims.exp * 1_000,
    });
  });

  test('that this process has signed is believed while it lives, and no other for it', async () => {
    let nowMs = Date.now();
    const tokens = openRouteTokens({ jwksUrl: jwks.url }, quietOps(), { now: () => nowMs });
    const claims = {
      userKey: 'alice',
      accessTokenHash: routeClaims().ath,
      partition: 7,
      epoch: 3,
      expiresAtMs: nowMs + 30_000,
    };
    tokens.remember('header.claims.signature', claims);
    assert.deepEqual(await tokens.verify('header.claims.signature'), claims);
    await assert.rejects(tokens.verify('header.claims.signaturf'));
    nowMs += 30_001;
    await assert.rejects(tokens.verify('header.claims.signature'));
    await tokens.close();
  });

  const faults: Record<string, { token: () => Promise<string> | string; reason: string }> = {
    'that has expired': {
      token: () => route.sign({ ...routeClaims(), iat: nowSeconds() - 70, exp: nowSeconds() - 10 }, { typ }),
      reason: 'expired',
    },
    'that lives longer than 60 s': {
      token: () => route.sign({ ...routeClaims(), exp: nowSeconds() + 61 }, { typ }),
      reason: 'invalid',
    },
    'for another audience': {
      token: () => route.sign({ ...routeClaims(), aud: 'penstock' }, { typ }),
      reason: 'invalid',
    },
    'of another issuer': { token: () => route.sign({ ...routeClaims(), iss: 'penstock' }, { typ }), reason: 'invalid' },
    'without ath': { token: () => route.sign({ ...routeClaims(), ath: undefined }, { typ }), reason: 'invalid' },
    'without jti': { token: () => route.sign({ ...routeClaims(), jti: undefined }, { typ }), reason: 'invalid' },
    'with a broken partition': {
      token: () => route.sign({ ...routeClaims(), partition: -1 }, { typ }),
      reason: 'invalid',
    },
    'that is unsigned': { token: () => unsignedToken(routeClaims(), { typ, kid: 'route-1' }), reason: 'invalid' },
    'with our public key as MAC key': {
      token: () => macToken(routeClaims(), route.publicJwk, { typ }),
      reason: 'invalid',
    },
    'that is an access token': { token: () => access.sign(accessClaims()), reason: 'invalid' },
    'signed by a key for access tokens': { token: () => access.sign(routeClaims(), { typ }), reason: 'invalid' },
  };
  for (const [name, { token, reason }] of Object.entries(faults)) {
    test(`${name} is refused as ${reason}`, async () => {
      const error: unknown = await verifyRoute(await token()).catch((thrown: unknown) => thrown);
      assert.equal(faultOf(error), reason, String(error));
    });
  }
});

describe('the keys of an issuer', () => {
  const codeOf = (thrown: unknown): string => (thrown instanceof PenstockError ? thrown.code : String(thrown));
  const timing = { refreshMs: 600_000, cooldownMs: 0, failureCooldownMs: 0 };

  test('that cannot be had at all make a token unverifiable, not invalid', async () => {
    const server = await jwksServer(undefined);
    const ops = quietOps();
    const tokens = openAccessTokens(config, { localJwksUrl: server.url }, ops, { jwks: timing });
    const token = await access.sign(accessClaims());
    assert.equal(await tokens.verify(token).catch(codeOf), 'UNAVAILABLE');
    assert.match(ops.readiness.reasons()['jwks-access'] ?? '', /503/);
    server.serve({ keys: [] });
    assert.equal(await tokens.verify(token).catch(codeOf), 'UNAVAILABLE');
    server.serve({ keys: [access.publicJwk] });
    assert.equal((await tokens.verify(token)).userKey, 'alice');
    await tokens.close();
    await server.close();
  });

  test('that were fetched once go on working while the endpoint is away', async () => {
    const server = await jwksServer({ keys: [access.publicJwk] });
    const tokens = openAccessTokens(config, { localJwksUrl: server.url }, quietOps(), {
      jwks: { ...timing, refreshMs: 5 },
    });
    await tokens.verify(await access.sign(accessClaims()));
    await server.close();
    assert.equal((await tokens.verify(await access.sign({ ...accessClaims(), sub: 'bob' }))).userKey, 'bob');
    const next = await tokenMaker('access-2');
    assert.equal(
      await tokens.verify(await next.sign(accessClaims())).catch(codeOf),
      'UNAVAILABLE',
      'a key that is not known may be a new one',
    );
    await tokens.close();
  });

  test('may be rotated: a token of a new key is verified at once, one of a withdrawn key no more', async () => {
    const next = await tokenMaker('access-2');
    const server = await jwksServer({ keys: [access.publicJwk] });
    const tokens = openAccessTokens(config, { localJwksUrl: server.url }, quietOps(), { jwks: timing });
    await tokens.verify(await access.sign(accessClaims()));
    server.serve({ keys: [next.publicJwk] });
    assert.equal((await tokens.verify(await next.sign(accessClaims()))).userKey, 'alice');
    assert.equal(
      await tokens.verify(await access.sign({ ...accessClaims(), sub: 'bob' })).catch(codeOf),
      'UNAUTHENTICATED',
    );
    await tokens.close();
    await server.close();
  });

  test('are not asked for again at once: a token of a key that may be new is not refused for good meanwhile', async () => {
    const next = await tokenMaker('access-2');
    const unknown = await tokenMaker('access-3');
    const server = await jwksServer({ keys: [access.publicJwk] });
    const tokens = openAccessTokens(config, { localJwksUrl: server.url }, quietOps(), {
      jwks: { ...timing, cooldownMs: 500 },
    });
    await tokens.verify(await access.sign(accessClaims()));
    server.serve({ keys: [access.publicJwk, next.publicJwk] });
    const [good, bad] = [await next.sign(accessClaims()), await unknown.sign(accessClaims())];
    const verdict = (token: string) => tokens.verify(token).then(() => 'holds', codeOf);
    assert.deepEqual([await verdict(good), await verdict(bad)], ['UNAVAILABLE', 'UNAVAILABLE']);
    assert.equal(server.requests(), 1);
    await until('the new key', async () => (await verdict(good)) === 'holds');
    assert.equal(server.requests(), 2);
    // That fetch would have shown its key.
    assert.equal(await verdict(bad), 'UNAUTHENTICATED');
    const later = await tokenMaker('access-4');
    assert.equal(await verdict(await later.sign(accessClaims())), 'UNAVAILABLE');
    assert.equal(server.requests(), 2);
    await tokens.close();
    await server.close();
  });
});
