import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Queries } from './database.ts';

/**
 * Failed logins, counted per address, and per user or — for an address from which that user has logged in before — per
 * pair of both, so that a stranger's failures do not lock out the user. Counts leak away with time; once one is full,
 * each further failure doubles the time until the next attempt is looked at, up to a cap. Shared by all routers.
 */
interface Policy {
  /** Failures after which attempts have to wait, in those that a user has. */
  free: number;
  /** Time in which one failure is forgotten, s. */
  leakSeconds: number;
  firstWaitSeconds: number;
  longestWaitSeconds: number;
}

type Scope = 'user' | 'pair' | 'address';

const policies: Readonly<Record<Scope, Policy>> = {
  user: { free: 1, leakSeconds: 60, firstWaitSeconds: 2, longestWaitSeconds: 300 },
  pair: { free: 1, leakSeconds: 60, firstWaitSeconds: 2, longestWaitSeconds: 300 },
  // Many people may share an address.
  address: { free: 10, leakSeconds: 6, firstWaitSeconds: 2, longestWaitSeconds: 60 },
};

/** Whom an attempt is counted against. */
export interface LoginSubjects {
  user: string;
  address: string;
  pair: string;
}

export function subjectsOf(userKey: string, address: string): LoginSubjects {
  const network = networkOf(address);
  const hash = (...parts: string[]): string => createHash('sha256').update(parts.join('\u0000')).digest('base64url');
  return { user: hash('user', userKey), address: hash('address', network), pair: hash('pair', userKey, network) };
}

/** An IPv4 address, or the /64 of an IPv6 one: who has one address of it has them all. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = '', tail = ''] = address.toLowerCase().replace(/%.*$/, '').split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const zeros = address.includes('::') ? Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0') : [];
  const groups = [...left, ...zeros, ...right].slice(0, 4).map(group => group.replace(/^0+(?=.)/, ''));
  return `${groups.join(':')}::/64`;
}

export interface LoginStanding {
  /** The user's password hash; undefined for an unknown user. */
  passwordHash: string | undefined;
  /** Time until an attempt is looked at, s; 0 when it is now. */
  waitSeconds: number;
  /** The user has logged in from this address before. */
  pairKnown: boolean;
}

export async function standingOf(queries: Queries, userKey: string, subjects: LoginSubjects): Promise<LoginStanding> {
  const [row] = await queries.query<{
    passwordHash: string | null;
    pairKnown: boolean;
    user: number | null;
    pair: number | null;
    address: number | null;
  }>(
    `WITH wait AS (
       SELECT scope, extract(epoch FROM blocked_until - clock_timestamp())::float8 AS seconds
         FROM penstock_auth.login_failure
        WHERE (scope, subject) IN (('user', $2), ('pair', $3), ('address', $4)))
     SELECT (SELECT password_hash FROM penstock_auth.local_user WHERE name = $1) AS "passwordHash",
            EXISTS (SELECT 1 FROM penstock_auth.login_success WHERE pair = $3) AS "pairKnown",
            (SELECT seconds FROM wait WHERE scope = 'user') AS "user",
            (SELECT seconds FROM wait WHERE scope = 'pair') AS "pair",
            (SELECT seconds FROM wait WHERE scope = 'address') AS "address"`,
    [userKey, subjects.user, subjects.pair, subjects.address],
  );
  if (row === undefined) throw new Error('a SELECT without FROM gave no row');
  const own = (row.pairKnown ? row.pair : row.user) ?? 0;
  return {
    passwordHash: row.passwordHash ?? undefined,
    pairKnown: row.pairKnown,
    waitSeconds: Math.max(0, own, row.address ?? 0),
  };
}

/** @param maxFailures of a user, after which attempts have to wait. */
export async function countFailure(
  queries: Queries,
  subjects: LoginSubjects,
  pairKnown: boolean,
  maxFailures: number,
): Promise<void> {
  for (const scope of ['address', pairKnown ? 'pair' : 'user'] as const) {
    const { free, leakSeconds, firstWaitSeconds, longestWaitSeconds } = policies[scope];
    await queries.query(
      `INSERT INTO penstock_auth.login_failure AS failure (scope, subject, level, updated_at, blocked_until)
       VALUES ($1, $2, 1, clock_timestamp(), clock_timestamp())
       ON CONFLICT (scope, subject) DO UPDATE SET (level, updated_at, blocked_until) = (
         SELECT next.level, clock_timestamp(), clock_timestamp() + make_interval(secs =>
                CASE WHEN round(next.level) < $4 THEN 0
                     ELSE least($6::float8, $5::float8 * power(2, least(round(next.level) - $4, 30))) END)
           FROM (SELECT 1 + greatest(0, failure.level
                   - extract(epoch FROM clock_timestamp() - failure.updated_at)::float8 / $3::float8) AS level) AS next)`,
      [scope, subjects[scope], leakSeconds, free * maxFailures, firstWaitSeconds, longestWaitSeconds],
    );
  }
}

/** A login forgives the user's failures, not the address's: else an attacker's own account would wash them away. */
export async function countSuccess(queries: Queries, subjects: LoginSubjects, pairKnown: boolean): Promise<void> {
  const scope: Scope = pairKnown ? 'pair' : 'user';
  await queries.query(
    `WITH forgiven AS (DELETE FROM penstock_auth.login_failure WHERE scope = $1 AND subject = $2)
     INSERT INTO penstock_auth.login_success (pair, last_at) VALUES ($3, now())
     ON CONFLICT (pair) DO UPDATE SET last_at = now()`,
    [scope, subjects[scope], subjects.pair],
  );
}

const maxFailureRows = 200_000;

/** Forgets what no longer matters: failures after an hour, successes after 90 days, the oldest beyond a number of rows. */
export async function forgetOldAttempts(queries: Queries): Promise<void> {
  await queries.query(`DELETE FROM penstock_auth.login_failure WHERE updated_at < now() - interval '1 hour'`);
  await queries.query(`DELETE FROM penstock_auth.login_success WHERE last_at < now() - interval '90 days'`);
  await queries.query(
    `DELETE FROM penstock_auth.login_failure WHERE (scope, subject) IN (
       SELECT scope, subject FROM penstock_auth.login_failure ORDER BY updated_at DESC OFFSET $1)`,
    [maxFailureRows],
  );
}
