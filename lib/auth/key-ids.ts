import { errors, type JWTVerifyGetKey } from 'jose';

/** What a key of ours signs. */
export type KeyUse = 'access' | 'route';

export function newKeyId(use: KeyUse, uuid: string): string {
  return `${use}-${uuid}`;
}

/**
 * Our keys say in their id what they sign, and no verifier takes one of the other use: a second wall, behind `typ`,
 * between access tokens and route tokens.
 */
export function onlyKeysFor(use: KeyUse, getKey: JWTVerifyGetKey): JWTVerifyGetKey {
  return (header, token) => {
    if (header.kid?.startsWith(`${use}-`) !== true) throw new errors.JWKSNoMatchingKey();
    return getKey(header, token);
  };
}
