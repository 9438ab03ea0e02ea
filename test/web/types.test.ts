import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../dev/stack/options.ts';
import { pages, typesOf } from '../../web/generate-types.ts';

for (const page of pages) {
  test(`${page.folder} has the types of its documents as the schema makes them`, async () => {
    const present = await readFile(join(root, page.folder, 'documents.ts'), 'utf8');
    assert.equal(present, await typesOf(page), 'run: npm run web:types');
  });
}
