import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Report } from '../dev/stack/trouble.ts';
import { billOf } from '../image/sbom.ts';
import { helmCommand } from './helm.ts';
import { output } from './run.ts';
import type { Texts } from './versioned.ts';

export interface PackOptions {
  /** The working copy, whose newest commit is packed. */
  root: string;
  /** Files that differ from that commit, by their paths. */
  texts: Texts;
  version: string;
  /** What the version brings, as Markdown. */
  notes: string;
  /** Where the artefacts go. Those of another version are removed from there, nothing else is. */
  folder: string;
  report: Report;
}

/** Artefacts that an earlier run has left. */
const ours = /^(penstock-\d.*\.(tgz|tar|cdx\.json)|RELEASE_NOTES\.md|SHA256SUMS)$/;
/** The one architecture that an image can be made for here: that of this machine's Node.js and C library. */
export const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** Makes chart, image, SBOM, notes and checksums of a commit, and returns their names. The working copy is not touched. */
export async function pack({ root, texts, version, notes, folder, report }: PackOptions): Promise<string[]> {
  const stage = await mkdtemp(join(tmpdir(), 'penstock-release-'));
  try {
    const archive = join(stage, '.commit.tar');
    await output('git', ['archive', '--format=tar', '-o', archive, 'HEAD'], root);
    await output('tar', ['-xf', archive, '-C', stage]);
    await rm(archive);
    for (const [path, text] of texts) await writeFile(join(stage, path), text);
    await symlink(join(root, 'node_modules'), join(stage, 'node_modules'));

    await mkdir(folder, { recursive: true });
    for (const name of await readdir(folder)) if (ours.test(name)) await rm(join(folder, name));
    const image = join(folder, `penstock-${version}-linux-${architecture}.tar`);
    report('packing the chart');
    await output(await helmCommand(report), ['package', 'helm/penstock', '--destination', folder], stage);
    report('listing the software');
    await writeFile(join(folder, `penstock-${version}.cdx.json`), await billOf(stage));
    report(`building the image for linux/${architecture}`);
    await output(process.execPath, ['image/main.ts', '--out', image, '--name', `penstock:${version}`], stage);
    await writeFile(join(folder, 'RELEASE_NOTES.md'), `${notes}\n`);
    const names = [`penstock-${version}.tgz`, `penstock-${version}.cdx.json`, basename(image), 'RELEASE_NOTES.md'];
    await writeFile(join(folder, 'SHA256SUMS'), await sums(folder, names));
    return [...names, 'SHA256SUMS'];
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** Returns the lines that `sha256sum --check` reads. @throws Error where a file is missing. */
async function sums(folder: string, names: readonly string[]): Promise<string> {
  const lines = names.map(async name => {
    const sum = createHash('sha256').update(await readFile(join(folder, name)));
    return `${sum.digest('hex')}  ${name}\n`;
  });
  return (await Promise.all(lines)).join('');
}
