import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type AuthDatabase, type LocalUsers, openAuthDatabase, openLocalUsers } from '../../../lib/auth/index.ts';
import { networkOf } from '../../../lib/auth/login-backoff.ts';
import { PenstockError } from '../../../lib/errors.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { until } from '../../support/until.ts';

let scratch: ScratchPostgres;
let database: AuthDatabase;
const opened: LocalUsers[] = [];
before(async () => {
  scratch = await scratchPostgres();
  const ops = quietOps();
  database = openAuthDatabase({ url: scratch.url, poolSize: 10 }, ops);
  await until('PostgreSQL is prepared', () => ops.readiness.reasons().postgres === undefined);
});
after(async () => {
  for (const users of opened) await users.close();
  await database.close();
  await scratch.drop();
});

const localRoles = { auditor: ['auditor'] };
function users(options: Parameters<typeof openLocalUsers>[3] & { signUp?: boolean } = {}): LocalUsers {
  const { signUp = true, ...rest } = options;
  const made = openLocalUsers({ localSignUp: signUp, localRoles }, database, quietOps(), rest);
  opened.push(made);
  return made;
}
let lastAddress = 0;
const anAddress = (): string => `10.0.${++lastAddress >> 8}.${lastAddress & 255}`;

async function outcome(login: Promise<unknown>): Promise<string> {
  return login.then(
    () => 'in',
    (error: unknown) => (error instanceof PenstockError ? error.code : String(error)),
  );
}
async function refusal(login: Promise<unknown>): Promise<PenstockError> {
  const error = await login.catch((thrown: unknown) => thrown);
  assert.ok(error instanceof PenstockError, String(error));
  return error;
}
/** As if the time of every failure had passed. */
const passTime = (seconds: number): Promise<unknown> =>
  scratch.query(
    `UPDATE penstock_auth.login_failure SET blocked_until = blocked_until - make_interval(secs => $1),
       updated_at = updated_at - make_interval(secs => $1)`,
    [seconds],
  );

describe('signing up', () => {
  test('creates an unknown user, who then needs that password', async () => {
    const address = anAddress();
    assert.deepEqual(await users().logIn({ username: 'alice', password: 'pw' }, address), {
      userKey: 'alice',
      roles: [],
    });
    assert.equal(await outcome(users().logIn({ username: 'alice', password: 'pw' }, address)), 'in');
    assert.equal(await outcome(users().logIn({ username: 'alice', password: 'other' }, address)), 'UNAUTHENTICATED');
  });

  test('of one name with several passwords at once lets one password win and refuses the others', async () => {
    const passwords = ['one', 'two', 'three', 'one', 'four'];
    const outcomes = await Promise.all(
      passwords.map(password => outcome(users().logIn({ username: 'raced', password }, anAddress()))),
    );
    const winners = new Set(passwords.filter((_, index) => outcomes[index] === 'in'));
    assert.equal(winners.size, 1, JSON.stringify(outcomes));
    for (const [index, password] of passwords.entries()) {
      assert.equal(outcomes[index], winners.has(password) ? 'in' : 'UNAUTHENTICATED');
    }
  });

  test('is refused where it is off, just as a wrong password is', async () => {
    const closed = users({ signUp: false });
    const unknown = await refusal(closed.logIn({ username: 'nobody-here', password: 'pw' }, anAddress()));
    const wrong = await refusal(closed.logIn({ username: 'alice', password: 'wrong' }, anAddress()));
    assert.equal(unknown.code, 'UNAUTHENTICATED');
    assert.equal(unknown.message, wrong.message);
    assert.deepEqual(await scratch.query(`SELECT 1 FROM penstock_auth.local_user WHERE name = 'nobody-here'`), []);
  });

  test('gives roles by name, and none to a user who is called like a property', async () => {
    assert.deepEqual((await users().logIn({ username: 'auditor', password: 'pw' }, anAddress())).roles, ['auditor']);
    assert.deepEqual((await users().logIn({ username: 'constructor', password: 'pw' }, anAddress())).roles, []);
    assert.deepEqual((await users().logIn({ username: '__proto__', password: 'pw' }, anAddress())).roles, []);
  });

  test('takes one text for one user, however its accents are composed', async () => {
    const address = anAddress();
    assert.equal((await users().logIn({ username: 'Zoe\u0301', password: 'pw' }, address)).userKey, 'Zo\u00e9');
    assert.equal(await outcome(users().logIn({ username: 'Zo\u00e9', password: 'pw' }, address)), 'in');
  });
});

describe('a stored password', () => {
  test('is a memory-hard hash in PHC format', async () => {
    await users().logIn({ username: 'hashed', password: 'a secret' }, anAddress());
    const [row] = await scratch.query<{ hash: string }>(
      `SELECT password_hash AS hash FROM penstock_auth.local_user WHERE name = 'hashed'`,
    );
    assert.match(
      row?.hash ?? '',
      /^\$(argon2id\$v=19\$m=19456,t=2,p=1|scrypt\$ln=15,r=8,p=3)\$[\w+/]{22}\$[\w+/]{43}$/,
    );
  });

  test('that was hashed with other parameters still works and is hashed anew', async () => {
    // scrypt of "old password", N = 2^10, r = 8, p = 1: what an older version might have stored.
    const { scryptSync } = await import('node:crypto');
    const salt = Buffer.alloc(16, 7);
    const hash = scryptSync('old password', salt, 32, { cost: 1_024, blockSize: 8, parallelization: 1 });
    const text = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
    const stored = `$scrypt$ln=10,r=8,p=1$${text(salt)}$${text(hash)}`;
    await scratch.query(`INSERT INTO penstock_auth.local_user (name, password_hash) VALUES ('old', $1)`, [stored]);
    assert.equal(await outcome(users().logIn({ username: 'old', password: 'wrong' }, anAddress())), 'UNAUTHENTICATED');
    assert.equal(await outcome(users().logIn({ username: 'old', password: 'old password' }, anAddress())), 'in');
    const [row] = await scratch.query<{ hash: string }>(
      `SELECT password_hash AS hash FROM penstock_auth.local_user WHERE name = 'old'`,
    );
    assert.notEqual(row?.hash, stored);
    assert.equal(await outcome(users().logIn({ username: 'old', password: 'old password' }, anAddress())), 'in');
  });
});

describe('credentials that are none', () => {
  const bad: unknown[] = [
    undefined,
    null,
    [],
    'alice',
    {},
    { username: 'alice' },
    { username: 1, password: 'pw' },
    { username: '', password: 'pw' },
    { username: 'alice', password: '' },
    { username: ' alice', password: 'pw' },
    { username: 'a\u0000', password: 'pw' },
    { username: 'x'.repeat(257), password: 'pw' },
    { username: 'alice', password: 'x'.repeat(1_025) },
  ];
  for (const credentials of bad) {
    test(`are bad input: ${JSON.stringify(credentials)?.slice(0, 60)}`, async () => {
      assert.equal(await outcome(users().logIn(credentials, anAddress())), 'BAD_USER_INPUT');
    });
  }
});

describe('repeated failures', () => {
  test('make the user wait; after that time the right password works and clears the count', async () => {
    const address = anAddress();
    const name = 'forgetful';
    await users().logIn({ username: name, password: 'right' }, address);
    for (let failure = 1; failure <= 5; failure++) {
      assert.equal(await outcome(users().logIn({ username: name, password: 'wrong' }, address)), 'UNAUTHENTICATED');
    }
    const blocked = await refusal(users().logIn({ username: name, password: 'right' }, address));
    assert.equal(blocked.code, 'LIMIT_EXCEEDED');
    const { retryAfterSeconds } = blocked.extensions;
    assert.ok(typeof retryAfterSeconds === 'number' && retryAfterSeconds >= 1 && retryAfterSeconds <= 2);
    await passTime(retryAfterSeconds);
    assert.equal(await outcome(users().logIn({ username: name, password: 'right' }, address)), 'in');
    assert.equal(await outcome(users().logIn({ username: name, password: 'wrong' }, address)), 'UNAUTHENTICATED');
    assert.equal(await outcome(users().logIn({ username: name, password: 'right' }, address)), 'in');
  });

  test('double the wait up to a cap, and are forgotten in time', async () => {
    const address = anAddress();
    const name = 'attacked';
    await users().logIn({ username: name, password: 'right' }, anAddress());
    const waits: number[] = [];
    for (let failure = 1; failure <= 16; failure++) {
      const error = await refusal(users().logIn({ username: name, password: 'wrong' }, address));
      assert.equal(error.code, 'UNAUTHENTICATED');
      const [row] = await scratch.query<{ seconds: number }>(
        `SELECT extract(epoch FROM blocked_until - updated_at)::float8 AS seconds FROM penstock_auth.login_failure
          WHERE scope = 'user' ORDER BY updated_at DESC LIMIT 1`,
      );
      waits.push(row?.seconds ?? 0);
      // Only the block passes, not the time in which failures are forgotten.
      await scratch.query('UPDATE penstock_auth.login_failure SET blocked_until = now(), updated_at = now()');
    }
    assert.deepEqual(
      waits.map(seconds => Math.round(seconds)),
      [0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300],
    );
    await passTime(3_600);
    for (let failure = 1; failure <= 4; failure++) {
      assert.equal(await outcome(users().logIn({ username: name, password: 'wrong' }, address)), 'UNAUTHENTICATED');
    }
    assert.equal(await outcome(users().logIn({ username: name, password: 'right' }, address)), 'in');
  });

  test('of a stranger do not lock out the user where that user has logged in before', async () => {
    const home = anAddress();
    const stranger = anAddress();
    await users().logIn({ username: 'victim', password: 'right' }, home);
    for (let failure = 1; failure <= 5; failure++) {
      await outcome(users().logIn({ username: 'victim', password: 'guess' }, stranger));
    }
    assert.equal(await outcome(users().logIn({ username: 'victim', password: 'guess' }, stranger)), 'LIMIT_EXCEEDED');
    assert.equal(
      await outcome(users().logIn({ username: 'victim', password: 'right' }, anAddress())),
      'LIMIT_EXCEEDED',
    );
    assert.equal(await outcome(users().logIn({ username: 'victim', password: 'right' }, home)), 'in');
  });

  test('for many users from one address make that address wait, and no other', async () => {
    const address = anAddress();
    const closed = users({ signUp: false });
    const outcomes: string[] = [];
    for (let user = 0; user < 51; user++) {
      outcomes.push(await outcome(closed.logIn({ username: `guess-${user}`, password: 'pw' }, address)));
    }
    const first = outcomes.indexOf('LIMIT_EXCEEDED');
    assert.ok(first === -1 || first >= 50, `blocked after ${first}`);
    // Failures leak away while they are made; these few fill the count whatever the machine's speed.
    await scratch.query(`UPDATE penstock_auth.login_failure SET level = 50, blocked_until = now() + interval '9 s'
                          WHERE scope = 'address' AND level > 20`);
    assert.equal(await outcome(closed.logIn({ username: 'guess-99', password: 'pw' }, address)), 'LIMIT_EXCEEDED');
    assert.equal(await outcome(closed.logIn({ username: 'guess-99', password: 'pw' }, anAddress())), 'UNAUTHENTICATED');
  });
});

describe('a storm of logins', () => {
  test('beyond what may wait is told to come back, and the rest gets in', async () => {
    const few = users({ slots: 1, maxWaiting: 3, maxWaitMs: 60_000 });
    const errors = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        few.logIn({ username: `storm-${n}`, password: 'pw' }, anAddress()).then(
          () => undefined,
          (error: unknown) => error,
        ),
      ),
    );
    const refused = errors.filter(error => error !== undefined);
    assert.equal(refused.length, 6);
    for (const error of refused) {
      assert.ok(error instanceof PenstockError);
      assert.equal(error.extensions.limit, 'PENSTOCK_LOGIN_MAX_WAITING');
      assert.equal(typeof error.extensions.retryAfterSeconds, 'number');
    }
    assert.equal(await outcome(few.logIn({ username: 'storm-after', password: 'pw' }, anAddress())), 'in');
  });

  test('does not let anybody wait for ever', async () => {
    const slow = users({ slots: 1, maxWaiting: 10, maxWaitMs: 1 });
    const outcomes = await Promise.all(
      ['x', 'y', 'z'].map(name => outcome(slow.logIn({ username: `slow-${name}`, password: 'pw' }, anAddress()))),
    );
    assert.deepEqual(outcomes, ['in', 'UNAVAILABLE', 'UNAVAILABLE']);
  });
});

test('an IPv6 address counts as its /64, an IPv4 one as itself', () => {
  const table: Record<string, string> = {
    '127.0.0.1': '127.0.0.1',
    '::ffff:10.1.2.3': '10.1.2.3',
    '2001:db8:0:1:aaaa::1': '2001:db8:0:1::/64',
    '2001:db8:0:1:bbbb:cccc:dddd:eeee': '2001:db8:0:1::/64',
    '2001:0db8::1': '2001:db8:0:0::/64',
    '::1': '0:0:0:0::/64',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
  };
  for (const [address, network] of Object.entries(table)) assert.equal(networkOf(address), network);
});
