import { jwtVerify } from 'jose';
import type { Closable, Ops, PenstockConfig } from '../ops/index.ts';
import { BoundedMap } from './bounded-map.ts';
import {
  accessAlgorithms,
  accessClaimsSchema,
  accessTokenType,
  clockToleranceSeconds,
  maxTokenLength,
  signingAlgorithm,
  tokenHash,
} from './claims.ts';
import { onlyKeysFor } from './key-ids.ts';
import { openRemoteKeys, type RemoteKeysTiming, type VerificationKeys } from './remote-keys.ts';
import { IssuedInTheFutureError, refusalOf, tokenRefused } from './token-errors.ts';
import type { AccessTokenVerifier, Caller } from './types.ts';

type AuthConfig = PenstockConfig<'auth'>['auth'];

export interface AccessTokensOptions {
  /** Milliseconds since 1970. */
  now?: () => number;
  /** Verified tokens that are remembered; default 10,000. */
  cacheEntries?: number;
  /** How long one is remembered at most, ms; a withdrawn key stops working after that. Default 60,000. */
  cacheMs?: number;
  jwks?: Partial<RemoteKeysTiming>;
}

/**
 * Verifies access tokens (RFC 9068): signature by one of the issuer's keys with an asymmetric algorithm, `typ`, `iss`,
 * `aud`, `exp`, `nbf`, `iat`, and the shape of `sub` and `roles`.
 * @param local where the local issuer's keys are, unless PENSTOCK_AUTH_JWKS_URL names another issuer's: its JWKS
 *   address, or the keys themselves (in the router).
 */
export function openAccessTokens(
  config: AuthConfig,
  local: { localJwksUrl: string } | { localKeys: VerificationKeys },
  ops: Pick<Ops, 'log' | 'readiness'>,
  options: AccessTokensOptions = {},
): AccessTokenVerifier & Closable {
  const { now = Date.now, cacheEntries = 10_000, cacheMs = 60_000, jwks = {} } = options;
  const external = config.jwksUrl !== undefined;
  const keys =
    config.jwksUrl !== undefined
      ? openRemoteKeys(config.jwksUrl, 'access', ops, jwks)
      : 'localKeys' in local
        ? local.localKeys
        : openRemoteKeys(local.localJwksUrl, 'access', ops, jwks);
  const getKey = external ? keys.getKey : onlyKeysFor('access', keys.getKey);
  const verified = new BoundedMap<Caller>(cacheEntries);

  const check = async (token: string, hash: string): Promise<Caller> => {
    const { payload } = await jwtVerify(token, getKey, {
      algorithms: external ? [...accessAlgorithms] : [signingAlgorithm],
      typ: accessTokenType,
      issuer: config.issuer,
      audience: config.audience,
      requiredClaims: ['sub', 'exp', 'iat'],
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(now()),
    });
    const claims = accessClaimsSchema.parse(payload);
    if (claims.iat * 1_000 > now() + clockToleranceSeconds * 1_000) throw new IssuedInTheFutureError();
    return { userKey: claims.sub, roles: claims.roles, expiresAtMs: claims.exp * 1_000, accessTokenHash: hash };
  };

  return {
    async verify(token) {
      if (token === undefined || token === '') throw tokenRefused('access', 'missing');
      if (token.length > maxTokenLength) throw tokenRefused('access', 'invalid');
      const hash = tokenHash(token);
      const known = verified.get(hash, now());
      if (known !== undefined) return known;
      try {
        const caller = await check(token, hash);
        verified.set(hash, caller, Math.min(caller.expiresAtMs, now() + cacheMs));
        return caller;
      } catch (error) {
        throw refusalOf('access', error);
      }
    },
    close: () => keys.close(),
  };
}
