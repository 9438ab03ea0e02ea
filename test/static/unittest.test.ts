import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { helmUnittest, withoutTools } from '../support/tools/index.ts';
import { chart, runTool } from './chart.ts';

const skip = await withoutTools(helmUnittest);
const folder = await mkdtemp(join(tmpdir(), 'penstock-unittest-'));
after(() => rm(folder, { recursive: true }));

test('the suites of the chart pass in helm-unittest', { skip }, async () => {
  const suites = globSync('tests/*_test.yaml', { cwd: chart });
  assert.ok(suites.length >= 2);
  const { code, said } = await runTool(await helmUnittest(), ['--strict', '--color=false', chart]);
  assert.equal(code, 0, said);
  assert.match(said, new RegExp(`Test Suites: ${suites.length} passed, ${suites.length} total`));
});

test('the suites fail on a chart that mounts a token', { skip }, async () => {
  const copy = join(folder, 'penstock');
  await cp(chart, copy, { recursive: true });
  for (const file of globSync('templates/**/*.{tpl,yaml}', { cwd: copy })) {
    const text = await readFile(join(copy, file), 'utf8');
    await writeFile(
      join(copy, file),
      text.replaceAll('automountServiceAccountToken: false', 'automountServiceAccountToken: true'),
    );
  }
  const outcome = await runTool(await helmUnittest(), ['--strict', '--color=false', copy]);
  assert.equal(outcome.code, 1);
  assert.match(outcome.said, /automountServiceAccountToken/);
});
