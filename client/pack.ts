/**
 * Makes what `npm pack` packs. In the repository the package's entries are its sources, which Node runs as they stand; in the
 * package they are JavaScript and declarations. So `build` compiles, and puts another package.json in place until `restore`.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const here = import.meta.dirname;
const manifest = join(here, 'package.json');
/** The package.json of the repository, while that of the package is in its place. */
const kept = join(here, 'package.json.kept');

const [task] = process.argv.slice(2);
if (task === 'build') build();
else if (task === 'restore') restore();
else throw new Error('usage: pack.ts build|restore');

function build(): void {
  restore();
  rmSync(join(here, 'dist'), { recursive: true, force: true });
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', here], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) process.exit(1);
  copyFileSync(join(here, '../LICENSE'), join(here, 'LICENSE'));
  const text = readFileSync(manifest, 'utf8');
  const { scripts: _, ...members } = JSON.parse(text);
  const entries = Object.entries<string>(members.exports).map(([name, source]) => {
    const file = source.replace('./src/', './dist/').replace(/\.ts$/, '');
    return [name, { types: `${file}.d.ts`, default: `${file}.js` }];
  });
  copyFileSync(manifest, kept);
  writeFileSync(manifest, `${JSON.stringify({ ...members, exports: Object.fromEntries(entries) }, undefined, 2)}\n`);
}

function restore(): void {
  rmSync(join(here, 'LICENSE'), { force: true });
  if (existsSync(kept)) renameSync(kept, manifest);
}
