import { randomUUID } from 'node:crypto';
import {
  type CryptoKey,
  createLocalJWKSet,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JSONWebKeySet,
  type JWK,
  type JWTPayload,
  SignJWT,
} from 'jose';
import { messageOf, PenstockError } from '../errors.ts';
import type { Closable, Ops, PenstockConfig } from '../ops/index.ts';
import {
  accessTokenType,
  maxRouteTokenSeconds,
  routeAudience,
  routeIssuer,
  routeTokenType,
  signingAlgorithm,
} from './claims.ts';
import { type AuthDatabase, lockAuth, type Queries } from './database.ts';
import { type KeyUse, newKeyId } from './key-ids.ts';
import { gaugeSigningKeys, newestEnds } from './key-metrics.ts';
import { hasWork, type KeySchedule, type KeyTimes, scheduleFor, signingKeyAt, workFor } from './key-schedule.ts';
import type { VerificationKeys } from './remote-keys.ts';
import { KeysUnavailableError } from './token-errors.ts';

export interface SignedToken {
  token: string;
  expiresInSeconds: number;
  expiresAtMs: number;
}

/** The routers' signing keys, shared through PostgreSQL, held in memory. */
export interface KeyStore extends Closable {
  /** Public keys: those that sign, will sign soon, or signed a token that may still be valid. @throws PenstockError UNAVAILABLE before the first are known. */
  jwks(): JSONWebKeySet;
  /** How long others may keep the key set, s. */
  jwksMaxAgeSeconds: number;
  /** The same keys for the verifiers of this process. Closing them does nothing. */
  keys: VerificationKeys;
  /** @throws PenstockError UNAVAILABLE when there is no key to sign with. */
  signAccess(user: { userKey: string; roles: readonly string[] }): Promise<SignedToken>;
  /** `notAfterMs`: when the access token expires; a route token never outlives it. */
  signRoute(claims: {
    userKey: string;
    accessTokenHash: string;
    partition: number;
    epoch: number;
    notAfterMs: number;
  }): Promise<SignedToken>;
}

export interface KeyStoreConfig {
  auth: PenstockConfig<'auth'>['auth'];
  routeTokenTtlSeconds: number;
}

interface StoredKey extends KeyTimes {
  use: KeyUse;
  privateJwk: JWK;
}

interface HeldKey extends StoredKey {
  privateKey: CryptoKey;
}

/** A refresh that failed is tried again after this: without the first keys nobody is let in. */
const retryMs = 1_000;
const uses: readonly KeyUse[] = ['access', 'route'];
const tokenTypes: Readonly<Record<KeyUse, string>> = { access: accessTokenType, route: routeTokenType };

/**
 * Opens the key store: makes the first keys, replaces them by age, and keeps a copy in memory from which everything
 * is signed, so that PostgreSQL may go away. Not ready (`keys`) until the first keys are known.
 */
export function openKeyStore(
  config: KeyStoreConfig,
  database: AuthDatabase,
  ops: Pick<Ops, 'log' | 'readiness' | 'metrics'>,
): KeyStore {
  const schedule = scheduleFor(config.auth.keyRotationSeconds);
  const refreshMs = Math.min(60_000, schedule.publishAheadMs / 3);
  const lifeSeconds: Readonly<Record<KeyUse, number>> = {
    access: config.auth.tokenTtlSeconds,
    route: Math.min(config.routeTokenTtlSeconds, maxRouteTokenSeconds),
  };
  let held: readonly HeldKey[] = [];
  let publicKeys: JSONWebKeySet = { keys: [] };
  let getKey: ReturnType<typeof createLocalJWKSet> | undefined;
  /** PostgreSQL's clock minus this process's monotonic one; never too small, so that a key just made is not in the future. */
  let clockOffsetMs = 0;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  ops.readiness.set('keys', 'signing keys not loaded yet');
  gaugeSigningKeys(ops.metrics, () => newestEnds(held, schedule, clockOffsetMs + performance.now() - Date.now()));

  const refresh = async (): Promise<boolean> => {
    try {
      const askedAtMs = performance.now();
      let { keys, nowMs } = await readKeys(database);
      clockOffsetMs = nowMs - askedAtMs;
      const isWork = (use: KeyUse): boolean =>
        hasWork(
          workFor(
            keys.filter(key => key.use === use),
            schedule,
            nowMs,
            lifeSeconds[use] * 1_000,
          ),
        );
      if (uses.some(isWork)) {
        await database.transaction(queries => rotate(queries, schedule, lifeSeconds));
        ({ keys, nowMs } = await readKeys(database));
      }
      held = await Promise.all(keys.map(key => hold(key, held)));
      publicKeys = { keys: held.map(key => publicJwkOf(key)) };
      getKey = createLocalJWKSet(publicKeys);
      ops.readiness.set('keys', undefined);
      return true;
    } catch (error) {
      ops.log.warn({ event: 'signing_keys_stale', reason: messageOf(error) }, 'signing keys could not be refreshed');
      return false;
    }
  };
  // One at a time: a refresh that is asked for while one is under way follows it.
  let refreshing: Promise<void> = Promise.resolve();
  const refreshNext = (): void => {
    if (closed) return;
    clearTimeout(timer);
    refreshing = refreshing.then(refresh).then(refreshed => {
      clearTimeout(timer);
      if (closed) return;
      timer = setTimeout(refreshNext, refreshed ? refreshMs : Math.min(refreshMs, retryMs));
      timer.unref();
    });
  };
  database.onAvailable(refreshNext);

  const sign = async (use: KeyUse, lifetimeSeconds: number, claims: JWTPayload): Promise<SignedToken> => {
    const nowMs = performance.now() + clockOffsetMs;
    const key = signingKeyAt(
      held.filter(candidate => candidate.use === use),
      schedule,
      nowMs,
    );
    if (key === undefined) throw new PenstockError('UNAVAILABLE', 'there is no key to sign with now');
    const issuedAt = Math.floor(Date.now() / 1_000);
    const expiresAt = issuedAt + lifetimeSeconds;
    const token = await new SignJWT({ ...claims, iat: issuedAt, exp: expiresAt, jti: randomUUID() })
      .setProtectedHeader({ alg: signingAlgorithm, typ: tokenTypes[use], kid: key.kid })
      .sign(key.privateKey);
    return { token, expiresInSeconds: lifetimeSeconds, expiresAtMs: expiresAt * 1_000 };
  };

  return {
    jwks() {
      if (getKey === undefined) throw new PenstockError('UNAVAILABLE', 'signing keys are not known yet');
      return publicKeys;
    },
    jwksMaxAgeSeconds: Math.floor(refreshMs / 1_000),
    keys: {
      async getKey(header, token) {
        if (getKey === undefined) throw new KeysUnavailableError('signing keys are not known yet');
        return getKey(header, token);
      },
      close: () => Promise.resolve(),
    },
    signAccess: ({ userKey, roles }) =>
      sign('access', lifeSeconds.access, {
        iss: config.auth.issuer,
        aud: config.auth.audience,
        sub: userKey,
        roles: [...roles],
      }),
    signRoute: ({ userKey, accessTokenHash, partition, epoch, notAfterMs }) => {
      const left = Math.floor((notAfterMs - Date.now()) / 1_000);
      return sign('route', Math.max(1, Math.min(lifeSeconds.route, left)), {
        iss: routeIssuer,
        aud: routeAudience,
        sub: userKey,
        ath: accessTokenHash,
        partition,
        epoch,
      });
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await refreshing;
    },
  };
}

async function readKeys(queries: Queries): Promise<{ keys: StoredKey[]; nowMs: number }> {
  const rows = await queries.query<StoredKey & { nowMs: number }>(
    `SELECT kid, use, private_jwk AS "privateJwk", signs_from_ms::float8 AS "signsFromMs",
            longest_token_ms::float8 AS "longestTokenMs", clock.now_ms AS "nowMs"
       FROM (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms) AS clock
       LEFT JOIN penstock_auth.signing_key ON true
      ORDER BY signs_from_ms`,
  );
  const nowMs = rows[0]?.nowMs ?? Date.now();
  return { keys: rows.filter(row => row.kid !== null).map(({ nowMs: _, ...key }) => key), nowMs };
}

/** Under the lock: makes successors, notes longer lives, forgets. Two routers that both find work to do make one key. */
async function rotate(
  queries: Queries,
  schedule: KeySchedule,
  lifeSeconds: Readonly<Record<KeyUse, number>>,
): Promise<void> {
  await lockAuth(queries);
  const { keys, nowMs } = await readKeys(queries);
  for (const use of uses) {
    const longestTokenMs = lifeSeconds[use] * 1_000;
    const work = workFor(
      keys.filter(key => key.use === use),
      schedule,
      nowMs,
      longestTokenMs,
    );
    if (work.forget.length > 0) {
      await queries.query('DELETE FROM penstock_auth.signing_key WHERE kid = ANY($1)', [work.forget]);
    }
    if (work.lengthen.length > 0) {
      await queries.query(
        'UPDATE penstock_auth.signing_key SET longest_token_ms = greatest(longest_token_ms, $2) WHERE kid = ANY($1)',
        [work.lengthen, longestTokenMs],
      );
    }
    if (work.signsFromMs === undefined) continue;
    const { privateKey } = await generateKeyPair(signingAlgorithm, { extractable: true });
    await queries.query(
      `INSERT INTO penstock_auth.signing_key (kid, use, private_jwk, signs_from_ms, longest_token_ms)
       VALUES ($1, $2, $3, $4, $5)`,
      [newKeyId(use, randomUUID()), use, JSON.stringify(await exportJWK(privateKey)), work.signsFromMs, longestTokenMs],
    );
  }
}

async function hold(key: StoredKey, before: readonly HeldKey[]): Promise<HeldKey> {
  const known = before.find(({ kid }) => kid === key.kid);
  if (known !== undefined) return { ...key, privateKey: known.privateKey };
  const privateKey = await importJWK(key.privateJwk, signingAlgorithm);
  if (privateKey instanceof Uint8Array) throw new Error(`signing key ${key.kid} is not a private key`);
  return { ...key, privateKey };
}

function publicJwkOf({ kid, privateJwk }: StoredKey): JWK {
  const { kty, crv, x, y } = privateJwk;
  if (kty !== 'EC' || crv === undefined || x === undefined || y === undefined) {
    throw new Error(`signing key ${kid} is not an EC key`);
  }
  return { kty, crv, x, y, kid, alg: signingAlgorithm, use: 'sig' };
}
