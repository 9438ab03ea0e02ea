import { createHash } from 'node:crypto';
import { z } from 'zod';

/** Longest user key, in UTF-16 code units. */
export const maxUserKeyLength = 256;

/**
 * A user key is a Kafka key and a PostgreSQL text: no control characters (NUL above all), and well-formed, since two
 * strings with different lone surrogates are the same bytes in UTF-8, and so would be the same user.
 */
export const userKeySchema = z
  .string()
  .min(1)
  .max(maxUserKeyLength)
  .refine(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    text => text.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(text),
    'must be well-formed text without control characters',
  );

const seconds = z
  .number()
  .nonnegative()
  .max(Number.MAX_SAFE_INTEGER / 1_000);

export const accessClaimsSchema = z.object({
  sub: userKeySchema,
  roles: z.array(z.string().max(256)).max(256).default([]),
  exp: seconds,
  iat: seconds,
  nbf: seconds.optional(),
});

export const routeClaimsSchema = z.object({
  sub: userKeySchema,
  ath: z.string().length(43),
  partition: z.int().nonnegative(),
  epoch: z.int().nonnegative(),
  exp: seconds,
  iat: seconds,
  jti: z.string().min(1).max(256),
});

export const accessTokenType = 'at+jwt';
export const routeTokenType = 'penstock-route+jwt';
export const routeAudience = 'penstock-gateway';
/** Route tokens come from the routers, whoever issues the access tokens. */
export const routeIssuer = 'penstock-router';
/** Longest life of a route token, s. */
export const maxRouteTokenSeconds = 60;
/** How far clocks may be apart, s. */
export const clockToleranceSeconds = 5;
/** Longest token that is looked at. */
export const maxTokenLength = 16_384;

/** What signs here. ES256 (ECDSA on P-256) is in every WebCrypto and every OIDC library; Ed25519 still lacks in many of both. */
export const signingAlgorithm = 'ES256';

/** What an access token's signature may be; `none` and everything symmetric are out (RFC 8725, 3.1). */
export const accessAlgorithms: readonly string[] = [
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
  'Ed25519',
];

/** base64url SHA-256 of a token: `ath`, as in RFC 9449, 4.2. */
export function tokenHash(token: string): string {
  return createHash('sha256').update(token, 'utf8').digest('base64url');
}
