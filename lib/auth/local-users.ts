import { z } from 'zod';
import { limitExceeded, messageOf, PenstockError } from '../errors.ts';
import type { Closable, Ops, PenstockConfig } from '../ops/index.ts';
import { userKeySchema } from './claims.ts';
import type { AuthDatabase } from './database.ts';
import { countFailure, countSuccess, forgetOldAttempts, standingOf, subjectsOf } from './login-backoff.ts';
import { checkPassword, hashPassword } from './passwords.ts';
import { openWorkQueue, type WorkQueueOptions } from './work-queue.ts';

export interface LocalUser {
  userKey: string;
  roles: readonly string[];
}

/** The local issuer's users. */
export interface LocalUsers extends Closable {
  /**
   * Checks name and password; with sign-up, an unknown name becomes a user.
   * @param address where the attempt comes from, an IP address.
   * @throws PenstockError BAD_USER_INPUT (not a name and a password), UNAUTHENTICATED (wrong), LIMIT_EXCEEDED (after
   *   repeated failures, or overloaded) and UNAVAILABLE (overloaded, PostgreSQL away), the last two with `extensions.retryAfterSeconds`.
   */
  logIn(credentials: unknown, address: string): Promise<LocalUser>;
}

/** Names are NFC, passwords NFKC (NIST SP 800-63B, 5.1.1.2): the same keys pressed are the same text. */
const credentialsSchema = z.object({
  username: z
    .string()
    .transform(name => name.normalize('NFC'))
    .pipe(userKeySchema.refine(name => name.trim() === name, 'must not begin or end with a space')),
  password: z
    .string()
    .min(1)
    .max(1_024)
    .transform(password => password.normalize('NFKC')),
});

/** Hashing is the cost: as many at once as cannot starve the thread pool (4 threads), as many waiting as is still useful. */
const hashing: WorkQueueOptions = {
  slots: 2,
  maxWaiting: 1_000,
  maxWaitMs: 30_000,
  busy(why) {
    const retry = { retryAfterSeconds: 2 };
    const message = 'too many logins at once';
    if (why === 'full') return limitExceeded('PENSTOCK_LOGIN_MAX_WAITING', message, retry);
    return new PenstockError('UNAVAILABLE', message, retry);
  },
};
/** Failures of a user after which attempts have to wait. */
const defaultMaxFailures = 5;
const forgetIntervalMs = 60_000;

export function openLocalUsers(
  config: Pick<PenstockConfig<'auth'>['auth'], 'localSignUp' | 'localRoles'>,
  database: AuthDatabase,
  ops: Pick<Ops, 'log'>,
  { maxFailures = defaultMaxFailures, ...options }: Partial<WorkQueueOptions & { maxFailures: number }> = {},
): LocalUsers {
  const queue = openWorkQueue({ ...hashing, ...options });
  /** What the password of an unknown user is checked against, so that it takes as long as any other. */
  const nobody = hashPassword('nobody');
  nobody.catch(() => undefined);
  const timer = setInterval(() => {
    forgetOldAttempts(database).catch((error: unknown) =>
      ops.log.debug(
        { event: 'login_attempts_kept', reason: messageOf(error) },
        'old login attempts could not be forgotten',
      ),
    );
  }, forgetIntervalMs);
  timer.unref();

  /** The user that a name and a password make, or undefined when another made it first. */
  const signUp = async (name: string, password: string): Promise<boolean> => {
    const hash = await hashPassword(password);
    const made = await database.query(
      'INSERT INTO penstock_auth.local_user (name, password_hash) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING name',
      [name, hash],
    );
    return made.length === 1;
  };

  const check = async (name: string, password: string, stored: string): Promise<boolean> => {
    const { matches, outdated } = await checkPassword(stored, password);
    if (matches && outdated) {
      await database.query(
        'UPDATE penstock_auth.local_user SET password_hash = $3 WHERE name = $1 AND password_hash = $2',
        [name, stored, await hashPassword(password)],
      );
    }
    return matches;
  };

  const admit = async (name: string, password: string, stored: string | undefined): Promise<boolean> => {
    if (stored !== undefined) return check(name, password, stored);
    if (!config.localSignUp) {
      await checkPassword(await nobody, password);
      return false;
    }
    if (await signUp(name, password)) return true;
    const [winner] = await database.query<{ hash: string }>(
      'SELECT password_hash AS hash FROM penstock_auth.local_user WHERE name = $1',
      [name],
    );
    return winner !== undefined && check(name, password, winner.hash);
  };

  return {
    logIn(credentials, address) {
      const parsed = credentialsSchema.safeParse(credentials);
      if (!parsed.success) {
        const issue = parsed.error.issues[0];
        const where = issue?.path.join('.') ?? '';
        const problem = `${where === '' ? 'the body' : where}: ${issue?.message ?? 'does not fit'}`;
        return Promise.reject(new PenstockError('BAD_USER_INPUT', problem));
      }
      const { username, password } = parsed.data;
      const subjects = subjectsOf(username, address);
      return queue.run(async () => {
        const { passwordHash, waitSeconds, pairKnown } = await standingOf(database, username, subjects);
        if (waitSeconds > 0) {
          const retry = { retryAfterSeconds: Math.ceil(waitSeconds) };
          throw limitExceeded('PENSTOCK_LOGIN_MAX_FAILURES', 'too many failed logins', retry);
        }
        if (!(await admit(username, password, passwordHash))) {
          await countFailure(database, subjects, pairKnown, maxFailures);
          throw new PenstockError('UNAUTHENTICATED', 'wrong user name or password');
        }
        await countSuccess(database, subjects, pairKnown);
        return { userKey: username, roles: rolesOf(config.localRoles, username) };
      });
    },
    close() {
      clearInterval(timer);
      return Promise.resolve();
    },
  };
}

/** A user may be called `constructor`: only what the configuration names counts. */
function rolesOf(roles: Readonly<Record<string, readonly string[]>>, name: string): readonly string[] {
  return Object.hasOwn(roles, name) ? (roles[name] ?? []) : [];
}
