import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { promisify } from 'node:util';
import semver from 'semver';
import { parse } from 'yaml';
import { reportToStderr } from '../../dev/stack/trouble.ts';
import { inPages } from '../../image/sbom.ts';
import { messageOf } from '../../lib/errors.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { helmCommand, noHelm } from '../../release/helm.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
/** Why nothing can be packed here; false where it can. */
const withoutHelm = await helmCommand(reportToStderr).then(
  () => false as const,
  (error: unknown) => {
    if (messageOf(error) !== noHelm) throw error;
    return noHelm;
  },
);
const version = semver.inc(packageJson.version, 'minor') ?? '';
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const image = `penstock-${version}-linux-${architecture}.tar`;
const artefacts = ['RELEASE_NOTES.md', 'SHA256SUMS', `penstock-${version}.cdx.json`, `penstock-${version}.tgz`, image];
const versioned = [
  'CHANGELOG.md',
  'client/package.json',
  'helm/penstock/Chart.yaml',
  'package-lock.json',
  'package.json',
];

/** A repository of its own, with the working copy as its only commit. */
let clone: string;
before(async () => {
  clone = await mkdtemp(join(tmpdir(), 'penstock-clone-'));
  const left = /^(node_modules|dist|\.git|\.penstock.*)$/;
  cpSync(root, clone, { recursive: true, filter: path => !left.test(relative(root, path)) });
  symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'));
  writeFileSync(
    join(clone, 'CHANGELOG.md'),
    '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A `test`:\n  two lines.\n',
  );
  await git('init', '--quiet');
  await git('add', '--all');
  await git('commit', '--quiet', '--message', 'everything');
});
after(() => rm(clone, { recursive: true, force: true }));
afterEach(() => git('reset', '--quiet', '--hard'));

const read = (name: string) => readFileSync(join(clone, name), 'utf8');

async function git(...args: string[]): Promise<string> {
  const identity = ['-c', 'user.name=test', '-c', 'user.email=test@localhost', '-c', 'commit.gpgsign=false'];
  return (await run('git', [...identity, ...args], { cwd: clone })).stdout;
}

async function release(...args: string[]): Promise<{ code: number; said: string }> {
  return run(process.execPath, [join(clone, 'release/main.ts'), ...args], { cwd: clone }).then(
    ({ stderr }) => ({ code: 0, said: stderr }),
    ({ code, stderr }: { code: number; stderr: string }) => ({ code, said: stderr }),
  );
}

test('a dry run packs everything, and changes no file of the repository', { skip: withoutHelm }, async () => {
  const { code, said } = await release(version, '--dry-run');
  assert.equal(code, 0, said);
  assert.equal(await git('status', '--porcelain'), '');
  assert.deepEqual((await readdir(join(clone, 'dist'))).sort(), artefacts.sort());
  assert.match(said, new RegExp(`not built: the image for linux/${architecture === 'arm64' ? 'amd64' : 'arm64'}`));
});

test('a release sets the version everywhere, closes the changelog and packs what the sums say', {
  skip: withoutHelm,
}, async () => {
  const { code, said } = await release(version);
  assert.equal(code, 0, said);
  const changed = (await git('diff', '--name-only')).trimEnd().split('\n');
  assert.deepEqual(changed, versioned);
  assert.equal((await git('diff', '--numstat', 'package.json', 'package-lock.json')).match(/^\d+/gm)?.join(), '3,1');
  const chart = parse(read('helm/penstock/Chart.yaml')) as Record<string, Record<string, string>>;
  assert.deepEqual([chart.version, chart.appVersion], [version, version]);
  assert.deepEqual(parse(chart.annotations?.['artifacthub.io/changes'] ?? ''), [
    { kind: 'added', description: 'A `test`: two lines.' },
  ]);
  assert.match(
    read('CHANGELOG.md'),
    new RegExp(`## \\[Unreleased\\]\n\n## \\[${version}\\] - 20\\d\\d-\\d\\d-\\d\\d\n`),
  );

  for (const line of read('dist/SHA256SUMS').trimEnd().split('\n')) {
    const [sum, name = ''] = line.split('  ');
    const content = readFileSync(join(clone, 'dist', name));
    assert.equal(createHash('sha256').update(content).digest('hex'), sum, name);
  }
  const { stdout: packed } = await run('tar', ['-xzOf', `dist/penstock-${version}.tgz`, 'penstock/Chart.yaml'], {
    cwd: clone,
  });
  assert.equal((parse(packed) as { version: string }).version, version);
  const { stdout: index } = await run('tar', ['-xOf', `dist/${image}`, 'index.json'], { cwd: clone });
  assert.match(index, new RegExp(`/penstock:${version}"`));
});

test("the list of software names each of the product's packages, Node.js and nothing of development but what pages are made of", {
  skip: withoutHelm,
}, () => {
  const bill = JSON.parse(read(`dist/penstock-${version}.cdx.json`)) as {
    metadata: { component: { name: string; version: string } };
    components: { name: string; version: string }[];
  };
  assert.deepEqual([bill.metadata.component.name, bill.metadata.component.version], ['penstock', version]);
  const found = new Map(bill.components.map(component => [component.name, component.version]));
  for (const [name, wanted] of Object.entries(packageJson.dependencies)) assert.equal(found.get(name), wanted, name);
  assert.equal(found.get('node'), process.versions.node);
  // What the pages are made of leads to types of packages as well.
  const tools = Object.keys(packageJson.devDependencies).filter(
    name => !inPages.includes(name) && !name.startsWith('@types/'),
  );
  assert.ok(tools.includes('vite'));
  assert.deepEqual(
    tools.filter(name => found.has(name)),
    [],
  );
});

test('no version is made of what is not committed, nor one that is not greater, nor without a change', async () => {
  appendFileSync(join(clone, 'README.md'), 'more\n');
  assert.match((await release(version)).said, /^not committed yet:\n M README\.md$/m);
  await git('reset', '--quiet', '--hard');
  assert.match((await release(packageJson.version)).said, /is not greater than/);
  assert.match((await release('v1')).said, /^v1 is no version/);
  for (const wrong of [[], ['--dryrun', version], [version, '--pack']])
    assert.match((await release(...wrong)).said, /^usage: /);
  await git('tag', `v${version}`);
  assert.match((await release(version)).said, /the tag v\S+ is there already/);
  writeFileSync(join(clone, 'CHANGELOG.md'), '# Changelog\n\n## [Unreleased]\n');
  await git('commit', '--quiet', '--all', '--message', 'nothing');
  assert.deepEqual(await release(version), {
    code: 1,
    said: 'CHANGELOG.md has nothing below [Unreleased]: what does the version bring?\n',
  });
  assert.equal((await release('--pack')).code, 1);
});
