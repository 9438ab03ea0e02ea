import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { cacheFolder } from '../../dev/servers/cache.ts';
import { root } from '../../dev/stack/options.ts';

/** The release before this one, as it was: the code that runs beside ours while a deployment is upgraded. */
export interface PreviousRelease {
  commit: string;
  /** Holds its `services`, `lib` and `apps`, with its packages. */
  folder: string;
  /** Loads one of its modules, as `lib/replay/cursor.ts`. */
  load<Module>(path: string): Promise<Module>;
  remove(): void;
}

const { commit } = z
  .strictObject({ commit: z.string().regex(/^[0-9a-f]{40}$/) })
  .parse(JSON.parse(readFileSync(join(import.meta.dirname, 'previous.json'), 'utf8')));

/** Why the release can't be had here, and the command that brings it; false where it can. For a test's `skip`. */
export function whyNoPreviousRelease(): string | false {
  if (git('cat-file', '-e', `${commit}^{commit}`).status === 0) return false;
  return `the previous release (commit ${commit}) is not in this clone; to install it: git fetch --unshallow || git fetch origin ${commit}`;
}

/** Unpacks it from the history of this clone. @throws Error with what git or npm says. */
export function openPreviousRelease(): PreviousRelease {
  const parent = join(root, '.penstock-test');
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, 'release-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const archive = git('archive', commit);
    if (archive.status !== 0) throw new Error(`git archive ${commit}: ${archive.stderr}`);
    const unpacked = spawnSync('tar', ['-x', '-C', folder], { input: archive.stdout });
    if (unpacked.status !== 0) throw new Error(`tar: ${unpacked.stderr}`);
    symlinkSync(packagesOf(folder), join(folder, 'node_modules'));
  } catch (error) {
    remove();
    throw error;
  }
  return {
    commit,
    folder,
    load: async <Module>(path: string) => (await import(pathToFileURL(join(folder, path)).href)) as Module,
    remove,
  };
}

function git(...args: string[]) {
  return spawnSync('git', ['-c', `safe.directory=${root}`, ...args], { cwd: root, maxBuffer: 1 << 28 });
}

/** Returns a `node_modules` with its packages: ours where the services need the same, else one that is kept in the cache. */
function packagesOf(folder: string): string {
  const lock = join(folder, 'package-lock.json');
  const wanted = needed(lock);
  if (wanted === needed(join(root, 'package-lock.json'))) return join(root, 'node_modules');
  const kept = join(cacheFolder(), `release-${createHash('sha256').update(wanted).digest('hex').slice(0, 12)}`);
  if (existsSync(kept)) return join(kept, 'node_modules');
  const draft = mkdtempSync(`${kept}-`);
  for (const name of ['package.json', 'package-lock.json']) copyFileSync(join(folder, name), join(draft, name));
  // Not `npm ci`: see dev/bootstrap.mjs.
  const args = [
    'install',
    '--no-save',
    '--omit=dev',
    '--omit=optional',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  const { status, stderr } = spawnSync('npm', args, { cwd: draft, encoding: 'utf8' });
  if (status !== 0) {
    rmSync(draft, { recursive: true, force: true });
    throw new Error(`npm ${args.join(' ')}, for the packages of ${commit}: ${stderr}`);
  }
  try {
    renameSync(draft, kept);
  } catch {
    rmSync(draft, { recursive: true, force: true }); // another test was faster
  }
  return join(kept, 'node_modules');
}

const lockShape = z.object({
  packages: z.record(
    z.string(),
    z.object({ version: z.string().optional(), dev: z.boolean().optional(), optional: z.boolean().optional() }),
  ),
});

/** The packages that services run with, and their versions. */
function needed(lock: string): string {
  const { packages } = lockShape.parse(JSON.parse(readFileSync(lock, 'utf8')));
  return Object.entries(packages)
    .filter(([path, { dev, optional }]) => path !== '' && !dev && !optional)
    .map(([path, { version }]) => `${path}@${version}`)
    .sort()
    .join('\n');
}
