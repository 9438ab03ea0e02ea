import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { copyFile, cp, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../../../dev/servers/cache.ts';
import { root as clone } from '../../../dev/stack/options.ts';
import type { Report } from '../../../dev/stack/trouble.ts';
import { writeImage } from '../../../image/oci.ts';
import { makeRoot, writePenstock } from '../../../image/penstock.ts';
import { librariesOf } from '../../../image/runtime.ts';
import packageJson from '../../../package.json' with { type: 'json' };
import { makeServersRoot } from './servers.ts';

const run = promisify(execFile);

/** The names of the images of a run. `penstock` has the tags of {@link PenstockTag}. */
export const imageNames = {
  pause: 'penstock.test/pause:1',
  coredns: 'penstock.test/coredns:1',
  prometheus: 'penstock.test/prometheus:1',
  servers: 'penstock.test/servers:1',
  penstock: 'penstock.test/penstock',
} as const;

/** `1` and `2` are this clone's services, two images; `bad` ends at once; `old` is the commit before, see `old.ts`. */
export type PenstockTag = '1' | '2' | 'bad' | 'old';

export interface ImagesOptions {
  /** The archives go there, as `*.tar`. */
  to: string;
  work: string;
  /** The folder of `nodePrograms`. */
  programs: string;
  report: Report;
}

/**
 * Writes the archives of everything that runs in the node but Penstock itself. They are kept in the per-user cache: a new
 * one is made when the programs, this file's neighbours or what the local stack fetches have changed.
 */
export async function writeServerImages({ to, work, programs, report }: ImagesOptions): Promise<void> {
  await mkdir(to, { recursive: true });
  const folder = join(cacheFolder(), `images-${imagesStamp(programs)}`);
  if (!existsSync(folder)) {
    await removeOld();
    report('making the images of the servers');
    const draft = `${folder}.${process.pid}`;
    await mkdir(draft, { recursive: true });
    try {
      await pause(draft, join(work, 'pause'));
      await program(draft, join(work, 'coredns'), join(programs, 'coredns'), imageNames.coredns);
      await program(draft, join(work, 'prometheus'), '/usr/bin/prometheus', imageNames.prometheus);
      await makeServersRoot(join(work, 'servers'), work, report);
      const archive = join(draft, 'servers.tar');
      await writeImage({ ...plain, root: join(work, 'servers'), archive, name: imageNames.servers, entrypoint: [] });
      await rename(draft, folder);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }
  for (const name of globSync('*.tar', { cwd: folder })) await symlink(join(folder, name), join(to, name));
}

/** Writes the archives of this clone's services: two images that differ in their content, and one whose process ends at once. */
export async function writePenstockImages(to: string, work: string): Promise<void> {
  const root = join(work, 'penstock');
  await makeRoot(root);
  const one = (tag: PenstockTag, more: { entrypoint?: readonly string[] } = {}) =>
    writePenstock({ root, archive: join(to, `penstock-${tag}.tar`), name: `${imageNames.penstock}:${tag}`, ...more });
  await one('1');
  await writeFile(join(root, 'app/RELEASE'), '2\n');
  await one('2');
  await one('bad', { entrypoint: ['/usr/local/bin/node', '-e', 'console.error("a bad image"); process.exit(1)'] });
  await rm(root, { recursive: true });
}

/** Writes the image as `npm run image` does, under the name that the chart's values ask for. */
export async function writeNamedImage(to: string, work: string): Promise<void> {
  const root = join(work, 'penstock');
  await makeRoot(root);
  await writePenstock({ root, archive: join(to, 'penstock.tar'), name: `penstock:${packageJson.version}` });
  await rm(root, { recursive: true });
}

const keepMs = 7 * 24 * 3_600_000;

const plain = {
  architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
  ...{ command: [], user: '', workingDir: '/', env: { PATH: '/bin:/postgres/bin:/java/bin' } },
} as const;

async function pause(to: string, root: string): Promise<void> {
  await mkdir(root, { recursive: true });
  await run('gcc', ['-Os', '-static', '-s', '-o', join(root, 'pause'), join(import.meta.dirname, 'pause.c')]);
  const archive = join(to, 'pause.tar');
  await writeImage({ ...plain, root, archive, name: imageNames.pause, entrypoint: ['/pause'], user: '65535:65535' });
}

/** An image of one program and the libraries that it is linked with. */
async function program(to: string, root: string, path: string, name: string): Promise<void> {
  for (const folder of ['tmp', 'etc/ssl', 'data']) await mkdir(join(root, folder), { recursive: true });
  await copyFile(path, join(root, basename(path)));
  await writeFile(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
  for (const library of await librariesOf(path).catch(() => [])) {
    await mkdir(join(root, dirname(library)), { recursive: true });
    await cp(library, join(root, library), { dereference: true });
  }
  const archive = join(to, `${basename(path)}.tar`);
  await writeImage({ ...plain, root, archive, name, entrypoint: [`/${basename(path)}`] });
}

/** Removes images that no run has made for a week: another clone may use newer ones. */
async function removeOld(): Promise<void> {
  for (const name of globSync('images-*', { cwd: cacheFolder() })) {
    const folder = join(cacheFolder(), name);
    if (Date.now() - statSync(folder).mtimeMs > keepMs) await rm(folder, { recursive: true, force: true });
  }
}

function imagesStamp(programs: string): string {
  const hash = createHash('sha256').update(programs).update(process.version);
  const files = [
    'test/cluster/images/{images,servers}.ts',
    'test/cluster/images/pause.c',
    'image/{oci,root}.ts',
    'dev/servers/checksums.txt',
    'package-lock.json',
  ];
  for (const file of globSync(files, { cwd: clone }).sort()) hash.update(readFileSync(join(clone, file)));
  return hash.digest('hex').slice(0, 12);
}
