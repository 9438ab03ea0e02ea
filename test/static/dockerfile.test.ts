import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hadolint, withoutTools } from '../support/tools/index.ts';
import { runTool } from './chart.ts';

const skip = await withoutTools(hadolint);

test('hadolint finds nothing in the Dockerfile', { skip }, async () => {
  const { code, said } = await runTool(await hadolint(), ['--failure-threshold', 'style', 'Dockerfile']);
  assert.equal(code, 0, said);
  assert.equal(said, '');
});
