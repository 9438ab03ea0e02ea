import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock } from '../lock.mjs';
import { root } from './options.ts';
import { tellWhile } from './progress.ts';
import { type Report, Trouble } from './trouble.ts';

const cache = join(root, 'node_modules/.cache/pages');
/** Everything that decides what is built. */
const sources = ['web', 'client/src', 'package-lock.json'];
/** A stack that runs reads its build again when a router starts: the ones before the newest stay for a while. */
const keptBuilds = 3;

/**
 * Returns the folder of the built pages, for the router. They are built where the sources have changed since; all stacks of this clone
 * share one build. It appears whole (by rename) or not at all.
 * @throws Trouble where they cannot be built.
 */
export async function builtPages(report: Report, signal: AbortSignal): Promise<string> {
  const folder = join(cache, await fingerprint());
  if (await isBuilt(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const lock = await waitForLock(join(cache, 'lock'), report, signal);
  try {
    if (await isBuilt(folder)) return folder; // another start has built them meanwhile
    await build(folder, report, signal);
    await removeOld();
    return folder;
  } finally {
    lock.release();
  }
}

async function isBuilt(folder: string): Promise<boolean> {
  if (!existsSync(folder)) return false;
  const now = new Date();
  await utimes(folder, now, now); // in use: not among the old ones
  return true;
}

async function waitForLock(path: string, report: Report, signal: AbortSignal): Promise<{ release(): void }> {
  for (let told = false; ; told = true) {
    const lock = tryLock(path);
    if ('release' in lock) return lock;
    if (!told) report(`waiting for process ${lock.holder}, which is building the pages`);
    await sleep(250, undefined, { signal });
  }
}

/** In a process of its own: what the build needs is not kept for as long as the stack runs. */
async function build(folder: string, report: Report, signal: AbortSignal): Promise<void> {
  const startedMs = performance.now();
  const draft = join(cache, `draft-${randomBytes(6).toString('hex')}`);
  report('building the web pages (first start, or web/ has changed)');
  try {
    const builder = spawn(process.execPath, [join(root, 'web/build.ts'), '--out', draft], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: root,
      signal,
    });
    createInterface({ input: builder.stdout }).on('line', report);
    let said = '';
    builder.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-10_000);
    });
    const closed = new Promise<number | null>((resolve, reject) => {
      builder.once('error', reject);
      builder.once('close', resolve);
    });
    const code = await tellWhile(closed, report, seconds => `  ${seconds} s …`);
    if (code !== 0) throw new Trouble(`the pages could not be built: ${said.trim() || `exit code ${code}`}`);
    await rename(draft, folder);
    report(`pages built in ${Math.round((performance.now() - startedMs) / 1_000)} s`);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function fingerprint(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of (await Promise.all(sources.map(filesOf))).flat()) {
    hash
      .update(`${relative(root, file)}\0`)
      .update(await readFile(file))
      .update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}

async function filesOf(source: string): Promise<string[]> {
  const path = join(root, source);
  if ((await stat(path)).isFile()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort();
}

async function removeOld(): Promise<void> {
  const names = (await readdir(cache)).filter(name => name !== 'lock');
  const aged = await Promise.all(names.map(async name => ({ name, usedMs: (await stat(join(cache, name))).mtimeMs })));
  aged.sort((one, other) => other.usedMs - one.usedMs);
  for (const { name } of aged.slice(keptBuilds)) await rm(join(cache, name), { recursive: true, force: true });
}
