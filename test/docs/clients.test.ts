import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../dev/stack/options.ts';
import { codeBlocks } from './code-blocks.ts';

const folder = join(root, 'docs/clients');
const documents = globSync('*.md', { cwd: folder }).map(name => ({
  name,
  text: readFileSync(join(folder, name), 'utf8'),
}));

test('what a document quotes of a recipe stands in it', () => {
  const quotes = documents
    .filter(({ name }) => name !== 'README.md')
    .flatMap(({ name, text }) => codeBlocks(text).map(block => ({ name, ...block })));
  assert.ok(quotes.length > 5);
  for (const { name, file, code } of quotes) {
    assert.ok(readFileSync(join(folder, file), 'utf8').includes(code), `${name}: ${file} has no\n${code}`);
  }
});

test('each recipe has a document, and the index leads to each document', () => {
  const index = documents.find(({ name }) => name === 'README.md')?.text ?? '';
  const others = documents.filter(({ name }) => name !== 'README.md');
  for (const { name } of others) assert.ok(index.includes(`](${name})`), name);
  const all = others.map(({ text }) => text).join('\n');
  for (const path of globSync('recipes/*', { cwd: folder })) {
    // What the recipes share speaks for itself.
    if (!/^(bank\.ts|requirements\.txt)$/.test(basename(path))) assert.ok(all.includes(path), path);
  }
});
