import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { root } from '../../dev/stack/options.ts';
import { builtPages } from '../../dev/stack/site.ts';
import { billOf } from '../../image/sbom.ts';

let folder: string;
let assets: ReadonlySet<string>;

before(async () => {
  folder = await builtPages(() => undefined, new AbortController().signal);
  assets = new Set(await readdir(join(folder, 'assets')));
});

/** The scripts that a page can come to load: those that it names, and those that they name. */
async function scriptsOf(page: string): Promise<Map<string, Buffer>> {
  const scripts = new Map<string, Buffer>();
  const look = async (text: string): Promise<void> => {
    for (const [name] of text.matchAll(/[\w.-]+-[\w-]{8}\.js\b/g)) {
      if (!assets.has(name) || scripts.has(name)) continue;
      const content = await readFile(join(folder, 'assets', name));
      scripts.set(name, content);
      await look(content.toString());
    }
  };
  await look(await readFile(join(folder, page), 'utf8'));
  return scripts;
}

for (const [page, maxKilobytes] of Object.entries({ 'index.html': 60, 'console/index.html': 100 })) {
  test(`${page} loads at most ${maxKilobytes} KB of JavaScript, compressed by gzip`, async () => {
    const scripts = await scriptsOf(page);
    assert.ok(scripts.size > 0);
    const bytes = [...scripts.values()].reduce((sum, content) => sum + gzipSync(content).length, 0);
    assert.ok(bytes <= maxKilobytes * 1_024, `${bytes} bytes: ${[...scripts.keys()].join(', ')}`);
  });
}

test('each page loads what is its own: the bank nothing of the console or of GraphiQL', async () => {
  const [bank, console, graphiql] = await Promise.all(
    ['index.html', 'console/index.html', 'graphiql/index.html'].map(scriptsOf),
  );
  const names = [...(bank?.keys() ?? [])].join(' ');
  assert.match(names, /^bank-/);
  assert.doesNotMatch(names, /console|graphiql|uplot|monaco|react/i);
  assert.doesNotMatch([...(console?.keys() ?? [])].join(' '), /bank|graphiql|monaco|react/i);
  assert.doesNotMatch([...(graphiql?.keys() ?? [])].join(' '), /bank-|console-/i);
});

test('no page has a script or a style sheet in it, or loads anything from elsewhere', async () => {
  for (const page of ['index.html', 'console/index.html', 'graphiql/index.html']) {
    const html = await readFile(join(folder, page), 'utf8');
    assert.doesNotMatch(html, /<style|style=|<script(?![^>]* src="\/assets\/)|\bon\w+=/);
    for (const [, address = ''] of html.matchAll(/(?:src|href)="([^"]*)"/g)) assert.match(address, /^\/assets\//);
  }
});

test('what shrinks is there compressed, and is the same', async () => {
  let compressed = 0;
  for (const name of assets) {
    const path = join(folder, 'assets', name);
    if (!existsSync(`${path}.br`)) continue;
    const content = await readFile(path);
    assert.ok(brotliDecompressSync(await readFile(`${path}.br`)).equals(content));
    assert.ok(gunzipSync(await readFile(`${path}.gz`)).equals(content));
    compressed++;
  }
  assert.ok(compressed > 3);
});

test('the list of the software in the image names every package that is in the pages', async () => {
  const { components } = JSON.parse(await billOf(root)) as { components: { name: string; version: string }[] };
  const listed = new Set(components.map(({ name, version }) => `${name}@${version}`));
  const shipped = JSON.parse(await readFile(join(folder, 'licenses.json'), 'utf8')) as typeof components;
  assert.ok(shipped.some(({ name }) => name === 'preact'));
  assert.deepEqual(
    shipped.map(({ name, version }) => `${name}@${version}`).filter(name => !listed.has(name)),
    [],
  );
});

test('a second call builds nothing', async () => {
  const said: string[] = [];
  assert.equal(await builtPages(line => said.push(line), new AbortController().signal), folder);
  assert.deepEqual(said, []);
});
