/**
 * Who is calling. Access tokens and route tokens are verified here (router and gateway); the routers' signing keys and
 * the local users live here too (router only, in PostgreSQL).
 */
export { type AccessTokensOptions, openAccessTokens } from './access-tokens.ts';
export { BoundedMap } from './bounded-map.ts';
export { type AuthDatabase, migrateAuth, openAuthDatabase } from './database.ts';
export { type KeyStore, openKeyStore, type SignedToken } from './key-store.ts';
export { type LocalUser, type LocalUsers, openLocalUsers } from './local-users.ts';
export type { VerificationKeys } from './remote-keys.ts';
export { openRouteTokens, type RouteTokensOptions } from './route-tokens.ts';
export { faultOf, type TokenFault } from './token-errors.ts';
export type { AccessTokenVerifier, Caller, RouteClaims, RouteTokenVerifier } from './types.ts';
export { openWorkQueue, type WorkQueue } from './work-queue.ts';
