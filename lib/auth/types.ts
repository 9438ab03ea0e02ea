/** What a verified access token says. */
export interface Caller {
  /** `sub`: the user key, and the only source of it. */
  userKey: string;
  roles: readonly string[];
  expiresAtMs: number;
  /** base64url SHA-256 of the token itself: what a route token is bound to (`ath`). */
  accessTokenHash: string;
}

export interface AccessTokenVerifier {
  /** @throws PenstockError UNAUTHENTICATED, with `extensions.reason` `expired`, `invalid` or `missing`. UNAVAILABLE when no key can be had. */
  verify(token: string | undefined): Promise<Caller>;
}

export interface RouteClaims {
  userKey: string;
  accessTokenHash: string;
  partition: number;
  epoch: number;
  expiresAtMs: number;
}

export interface RouteTokenVerifier {
  /** Checks signature, typ, iss, aud, alg and times. Who is handed the claims must compare `accessTokenHash` and `userKey`. */
  verify(token: string): Promise<RouteClaims>;
  /** What this process has signed itself need not be verified again. */
  remember(token: string, claims: RouteClaims): void;
}
