/**
 * `npm run release -- <version> [--dry-run]`: sets the version in all files that tell it, makes [Unreleased] of CHANGELOG.md its section, and
 * packs chart, image, SBOM, notes and checksums into dist/. `--dry-run` packs the same and changes no file of git's. `--pack` packs
 * the version that the commit has, as the workflow does for a tag. See docs/releasing.md.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { main } from '../dev/stack/main.ts';
import { reportToStderr, Trouble } from '../dev/stack/trouble.ts';
import { architecture, pack } from './pack.ts';
import { output } from './run.ts';
import { atVersion, notesOf, type Texts, versionedFiles, versionOf } from './versioned.ts';

const root = join(import.meta.dirname, '..');
const usage = 'usage: npm run release -- <version> [--dry-run], or npm run release -- --pack';

await main(async signal => {
  const { wanted, isDry } = readArguments();

  await refuseChanges();
  const now: Texts = new Map(
    await Promise.all(versionedFiles.map(async path => [path, await readFile(join(root, path), 'utf8')] as const)),
  );
  const version = wanted ?? versionOf(now);
  const texts = wanted === undefined ? now : atVersion(now, wanted, new Date().toISOString().slice(0, 10));
  if (wanted !== undefined) await refuseTag(wanted);
  const notes = notesOf(texts, version);
  const names = await pack({ root, texts, version, notes, folder: join(root, 'dist'), report: reportToStderr });
  for (const name of names) process.stdout.write(`dist/${name}\n`);
  const other = architecture === 'arm64' ? 'amd64' : 'arm64';
  reportToStderr(`not built: the image for linux/${other}, which needs a machine or an engine of that architecture`);
  if (wanted === undefined) return;
  if (isDry) return reportToStderr('a dry run: no file of the repository was changed');
  signal.throwIfAborted();
  for (const [path, text] of texts) await writeFile(join(root, path), text);
  reportToStderr(
    `now: git commit --all --message "Release ${version}" && git tag --sign v${version} --message v${version}`,
  );
});

/** Returns the version that is wanted; undefined: that of the commit. @throws Trouble that says how it is used. */
function readArguments(): { wanted: string | undefined; isDry: boolean } {
  const options = {
    'dry-run': { type: 'boolean', default: false },
    pack: { type: 'boolean', default: false },
  } as const;
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    const [wanted] = positionals;
    if (positionals.length > 1 || (wanted === undefined) !== values.pack) throw new Trouble(usage);
    return { wanted, isDry: values['dry-run'] };
  } catch (error) {
    throw new Trouble(usage, { cause: error });
  }
}

/** A release is a commit: what is only in the working copy would not be in it. */
async function refuseChanges(): Promise<void> {
  const changed = (await output('git', ['status', '--porcelain'], root)).trimEnd();
  if (changed !== '') throw new Trouble(`not committed yet:\n${changed}`);
}

async function refuseTag(version: string): Promise<void> {
  const tag = await output('git', ['tag', '--list', `v${version}`], root);
  if (tag.trim() !== '') throw new Trouble(`the tag v${version} is there already`);
}
