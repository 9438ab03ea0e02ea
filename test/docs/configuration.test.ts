import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { configurationReference } from '../../docs/generate-configuration.ts';
import { catalogue } from '../../lib/ops/index.ts';

test('the configuration reference tells every variable as it is in the catalogue', () => {
  const written = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  assert.equal(written, configurationReference(catalogue), 'run: npm run docs:config');
});
