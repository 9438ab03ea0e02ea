import { createHmac } from 'node:crypto';
import { type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK, type JWTPayload, SignJWT } from 'jose';

/** Signs tokens of any shape, right or wrong: an issuer, or an attacker with a key. */
export interface TokenMaker {
  publicJwk: JWK;
  sign(payload: object, header?: Readonly<Record<string, unknown>>): Promise<string>;
}

export async function tokenMaker(kid: string, alg = 'ES256'): Promise<TokenMaker> {
  const { privateKey, publicKey }: { privateKey: CryptoKey; publicKey: CryptoKey } = await generateKeyPair(alg, {
    extractable: true,
  });
  const publicJwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' };
  return {
    publicJwk,
    sign: (payload, header = {}) =>
      new SignJWT(payload as JWTPayload).setProtectedHeader({ alg, kid, typ: 'at+jwt', ...header }).sign(privateKey),
  };
}

/** The router's own key, taken from its database: for tokens that are right in all but what a test is about. */
export async function stolenKey(
  database: { query<Row>(sql: string, values: readonly unknown[]): Promise<Row[]> },
  use: 'access' | 'route',
): Promise<{ kid: string; sign: TokenMaker['sign'] }> {
  const [key] = await database.query<{ kid: string; jwk: JWK }>(
    'SELECT kid, private_jwk AS jwk FROM penstock_auth.signing_key WHERE use = $1 ORDER BY signs_from_ms LIMIT 1',
    [use],
  );
  if (key === undefined) throw new Error(`no ${use} key in the database`);
  const { kid } = key;
  const privateKey = await importJWK(key.jwk, 'ES256');
  return {
    kid,
    sign: (payload, header = {}) =>
      new SignJWT(payload as JWTPayload)
        .setProtectedHeader({ alg: 'ES256', kid, typ: 'at+jwt', ...header })
        .sign(privateKey),
  };
}

/** What no library signs: an unsigned token. */
export function unsignedToken(payload: object, header: object = {}): string {
  return `${encode({ alg: 'none', typ: 'at+jwt', ...header })}.${encode(payload)}.`;
}

/** A token whose MAC key is the issuer's public key: passes where a verifier lets the token choose the algorithm. */
export function macToken(payload: object, publicJwk: JWK, header: object = {}): string {
  const input = `${encode({ alg: 'HS256', typ: 'at+jwt', kid: publicJwk.kid, ...header })}.${encode(payload)}`;
  return `${input}.${createHmac('sha256', JSON.stringify(publicJwk)).update(input).digest('base64url')}`;
}

/** The same token with one bit of its signature changed. */
export function tampered(token: string): string {
  const [header, payload, signature = ''] = token.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  bytes[5] = (bytes[5] ?? 0) ^ 1;
  return `${header}.${payload}.${bytes.toString('base64url')}`;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
