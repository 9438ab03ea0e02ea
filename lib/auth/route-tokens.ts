import { jwtVerify } from 'jose';
import type { Closable, Ops } from '../ops/index.ts';
import { BoundedMap } from './bounded-map.ts';
import {
  clockToleranceSeconds,
  maxRouteTokenSeconds,
  maxTokenLength,
  routeAudience,
  routeClaimsSchema,
  routeIssuer,
  routeTokenType,
  signingAlgorithm,
} from './claims.ts';
import { onlyKeysFor } from './key-ids.ts';
import { openRemoteKeys, type RemoteKeysTiming, type VerificationKeys } from './remote-keys.ts';
import { IssuedInTheFutureError, refusalOf, tokenRefused } from './token-errors.ts';
import type { RouteClaims, RouteTokenVerifier } from './types.ts';

export interface RouteTokensOptions {
  /** Milliseconds since 1970. */
  now?: () => number;
  /** Tokens that are remembered; default 10,000, some 10 MB. Each until it has expired. */
  cacheEntries?: number;
  jwks?: Partial<RemoteKeysTiming>;
}

/**
 * Verifies route tokens. What they say holds only together with the access token that they are bound to: compare
 * `accessTokenHash` and `userKey` with the caller's.
 * @param source the routers' JWKS address (PENSTOCK_ROUTE_JWKS_URL), or the keys themselves (in the router).
 */
export function openRouteTokens(
  source: { jwksUrl: string } | { localKeys: VerificationKeys },
  ops: Pick<Ops, 'log' | 'readiness'>,
  options: RouteTokensOptions = {},
): RouteTokenVerifier & Closable {
  const { now = Date.now, cacheEntries = 10_000, jwks = {} } = options;
  const keys = 'localKeys' in source ? source.localKeys : openRemoteKeys(source.jwksUrl, 'route', ops, jwks);
  const getKey = onlyKeysFor('route', keys.getKey);
  /** Not those that were verified: a client that comes back has a new one. */
  const remembered = new BoundedMap<RouteClaims>(cacheEntries);
  return {
    remember: (token, claims) => remembered.set(token, claims, claims.expiresAtMs),
    async verify(token) {
      const known = remembered.get(token, now());
      if (known !== undefined) return known;
      if (token === '') throw tokenRefused('route', 'missing');
      if (token.length > maxTokenLength) throw tokenRefused('route', 'invalid');
      try {
        const { payload } = await jwtVerify(token, getKey, {
          algorithms: [signingAlgorithm],
          typ: routeTokenType,
          issuer: routeIssuer,
          audience: routeAudience,
          requiredClaims: ['sub', 'exp', 'iat', 'jti'],
          clockTolerance: clockToleranceSeconds,
          currentDate: new Date(now()),
        });
        const claims = routeClaimsSchema.parse(payload);
        if (claims.exp - claims.iat > maxRouteTokenSeconds) throw new Error('lives too long');
        if (claims.iat * 1_000 > now() + clockToleranceSeconds * 1_000) throw new IssuedInTheFutureError();
        return {
          userKey: claims.sub,
          accessTokenHash: claims.ath,
          partition: claims.partition,
          epoch: claims.epoch,
          expiresAtMs: claims.exp * 1_000,
        };
      } catch (error) {
        throw refusalOf('route', error);
      }
    },
    close: () => keys.close(),
  };
}
