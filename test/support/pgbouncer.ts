import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { dieWithUs } from './die-with-us.ts';
import { freePort } from './free-ports.ts';
import { until } from './until.ts';

export interface PgBouncer {
  /** postgres://, through it. */
  url: string;
  /** Takes the mode for connections that come; who is connected keeps the old one's session. */
  setMode(mode: PoolMode): Promise<void>;
  close(): Promise<void>;
}

export type PoolMode = 'session' | 'transaction';

/** Debian's folder for it is on the path of root alone. */
const program = ['pgbouncer', '/usr/sbin/pgbouncer'].find(name => spawnSync(name, ['--version']).status === 0);

/** What a test without it is skipped with; false where it is installed. */
export const withoutPgBouncer: string | false = program === undefined ? 'PgBouncer: apt-get install pgbouncer' : false;

/** A real PgBouncer before the database of `target`. It lets our start-up parameters pass, and does nothing about them. */
export async function startPgBouncer(target: string, mode: PoolMode, poolSize = 40): Promise<PgBouncer> {
  if (program === undefined) throw new Error(`${withoutPgBouncer}`);
  const folder = mkdtempSync(join(tmpdir(), 'penstock-pgbouncer-'));
  const port = await freePort();
  const { hostname, port: targetPort, pathname, username, password } = new URL(target);
  const database = pathname.slice(1);
  const login = `user=${username}${password === '' ? '' : ` password=${decodeURIComponent(password)}`}`;
  const file = join(folder, 'pgbouncer.ini');
  const settings = (pool: PoolMode) => `[databases]
${database} = host=${hostname} port=${targetPort} dbname=${database} ${login}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${pool}
default_pool_size = ${poolSize}
admin_users = ${username}
ignore_startup_parameters = statement_timeout,idle_in_transaction_session_timeout,extra_float_digits
logfile =
pidfile =
`;
  writeFileSync(file, settings(mode));
  for (const path of [folder, file]) chmodSync(path, 0o755);
  // It refuses to run as root.
  const asUser = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const child: ChildProcess = dieWithUs(spawn(program, [...asUser, file], { stdio: ['ignore', 'ignore', 'pipe'] }));
  let said = '';
  child.stderr?.on('data', chunk => {
    said = `${said}${chunk}`.slice(-2_000);
  });
  const url = new URL(target);
  url.host = `127.0.0.1:${port}`;
  await until('PgBouncer answers', () => {
    if (child.exitCode !== null) throw new Error(`PgBouncer has ended: ${said}`);
    return answers(url.href);
  });
  return {
    url: url.href,
    async setMode(next) {
      writeFileSync(file, settings(next));
      const console_ = new URL(url);
      console_.pathname = 'pgbouncer';
      const admin = new pg.Client({ connectionString: console_.href });
      await admin.connect();
      await admin.query('RELOAD');
      await admin.end();
    },
    async close() {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
