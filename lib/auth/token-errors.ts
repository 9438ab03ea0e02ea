import { errors } from 'jose';
import { PenstockError } from '../errors.ts';

/**
 * Why a token was refused: `expired` asks the client to refresh it, `invalid` and `missing` are final. `early`: signed as it
 * must be, but issued in the future, or not valid yet, so that one of the clocks is wrong, and not the client.
 */
export type TokenFault = 'expired' | 'early' | 'invalid' | 'missing';

/** Its signature holds; its `iat` has not come yet. */
export class IssuedInTheFutureError extends Error {
  constructor() {
    super('issued in the future');
    this.name = 'IssuedInTheFutureError';
  }
}

/** No verification key can be had; says nothing about the token. */
export class KeysUnavailableError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'KeysUnavailableError';
  }
}

const messages: Readonly<Record<TokenFault, (what: string) => string>> = {
  expired: what => `the ${what} token has expired`,
  early: what => `the ${what} token is from the future: clocks differ`,
  invalid: what => `the ${what} token does not hold`,
  missing: what => `no ${what} token`,
};

/** UNAUTHENTICATED with `extensions.reason`. `what`: `access` or `route`. The cause goes to the log, never to a client. */
export function tokenRefused(what: string, reason: TokenFault, cause?: unknown): PenstockError {
  return new PenstockError('UNAUTHENTICATED', messages[reason](what), { reason }, cause);
}

/** What the caller of a verifier gets for whatever jose, a key source or a claims check threw. */
export function refusalOf(what: string, thrown: unknown): PenstockError {
  if (thrown instanceof PenstockError) return thrown;
  if (thrown instanceof KeysUnavailableError) {
    return new PenstockError('UNAVAILABLE', `keys to verify ${what} tokens cannot be had now`, {}, thrown);
  }
  if (thrown instanceof IssuedInTheFutureError || isNotYetValid(thrown)) return tokenRefused(what, 'early', thrown);
  return tokenRefused(what, thrown instanceof errors.JWTExpired ? 'expired' : 'invalid', thrown);
}

/** jose looks at a token's times once its signature holds. */
function isNotYetValid(thrown: unknown): boolean {
  if (!(thrown instanceof errors.JWTClaimValidationFailed)) return false;
  return thrown.claim === 'nbf' && thrown.reason === 'check_failed';
}

/** The token fault of an error that a verifier threw; undefined when it is not about the token. */
export function faultOf(thrown: unknown): TokenFault | undefined {
  if (!(thrown instanceof PenstockError) || thrown.code !== 'UNAUTHENTICATED') return undefined;
  const { reason } = thrown.extensions;
  return reason === 'expired' || reason === 'early' || reason === 'missing' ? reason : 'invalid';
}
