import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { stringify } from 'yaml';
import { helm, promtool, withoutTools } from '../support/tools/index.ts';
import { chart, objectsOf, runTool } from './chart.ts';

const hasRules = existsSync(join(chart, 'templates/prometheus-rule.yaml'));
const skip = hasRules ? await withoutTools(helm, promtool) : 'the chart has no PrometheusRule';
const folder = await mkdtemp(join(tmpdir(), 'penstock-rules-'));
after(() => rm(folder, { recursive: true }));

test('promtool finds nothing in the PrometheusRule that the chart renders', { skip }, async () => {
  const values = ['--values', join(chart, 'ci/bank-values.yaml'), '--set', 'monitoring.prometheusRule.enabled=true'];
  const args = ['template', 'penstock', chart, '--namespace', 'penstock', '--kube-version', '1.36.0', ...values];
  const { code, stdout, said } = await runTool(await helm(), args);
  assert.equal(code, 0, said);
  const rules = objectsOf(stdout).filter(({ kind }) => kind === 'PrometheusRule');
  assert.ok(rules.length > 0);
  for (const [index, { spec }] of rules.entries()) {
    const file = join(folder, `${index}.yaml`);
    await writeFile(file, stringify(spec));
    const checked = await runTool(await promtool(), ['check', 'rules', '--lint=all', '--lint-fatal', file]);
    assert.equal(checked.code, 0, checked.said);
    assert.match(checked.said, /SUCCESS: [1-9]\d* rules found/);
  }
});
