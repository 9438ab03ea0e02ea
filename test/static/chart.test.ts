import assert from 'node:assert/strict';
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { helm, kubeconform, oldestHelm, withoutTools } from '../support/tools/index.ts';
import { chart, objectsOf, render, runTool, strictArguments, valuesFiles } from './chart.ts';

const skip = await withoutTools(helm, oldestHelm, kubeconform);
const goldenFolder = join(import.meta.dirname, 'golden');
const update = process.env.TEST_UPDATE_GOLDEN === 'true';
const folder = await mkdtemp(join(tmpdir(), 'penstock-chart-'));
after(() => rm(folder, { recursive: true }));

for (const [values, golden] of valuesFiles()) {
  test(`${values}: helm lint --strict finds nothing, in the oldest Helm and the newest`, { skip }, async () => {
    for (const program of [await helm(), await oldestHelm()]) {
      const args = ['lint', '--strict', '--kube-version', '1.36.0', chart, '--values', join(chart, values)];
      const { code, said } = await runTool(program, args);
      assert.equal(code, 0, said);
    }
  });

  test(`${values}: the render is that of the golden file`, { skip }, async () => {
    const file = join(goldenFolder, golden);
    const rendered = await render(await helm(), values);
    if (update) writeFileSync(file, rendered);
    assert.equal(rendered, readFileSync(file, 'utf8'), 'look at the difference, then: npm run test:static -- --update');
  });

  test(`${values}: the oldest Helm and the newest render the same objects, for each Kubernetes`, { skip }, async () => {
    const expected = objectsOf(await render(await helm(), values));
    assert.ok(expected.length > 5);
    for (const version of ['1.30.0', '1.36.0']) {
      assert.deepEqual(objectsOf(await render(await oldestHelm(), values, version)), expected);
      assert.deepEqual(objectsOf(await render(await helm(), values, version)), expected);
    }
  });

  for (const version of ['v1.30', 'v1.36'] as const) {
    test(`${values}: kubeconform finds every object strictly valid in Kubernetes ${version}`, { skip }, async () => {
      const file = join(folder, `${version}-${golden}`);
      await writeFile(file, await render(await helm(), values));
      const { code, said } = await runTool(await kubeconform(), [...strictArguments(version), file]);
      assert.equal(code, 0, said);
      assert.match(said, /Invalid: 0, Errors: 0, Skipped: 0/);
    });
  }
}

test('each golden render belongs to one values file', () => {
  const expected = [...valuesFiles().values()].sort();
  for (const file of globSync('*.yaml', { cwd: goldenFolder }))
    if (update && !expected.includes(file)) rmSync(join(goldenFolder, file));
  assert.deepEqual(globSync('*.yaml', { cwd: goldenFolder }).sort(), expected, 'run: npm run test:static -- --update');
});

test('kubeconform refuses a field that Kubernetes does not know', { skip }, async () => {
  const [values = ''] = valuesFiles().keys();
  const file = join(folder, 'misspelt.yaml');
  await writeFile(file, (await render(await helm(), values)).replaceAll('readinessProbe:', 'readinesProbe:'));
  const { code, said } = await runTool(await kubeconform(), [...strictArguments('v1.36'), file]);
  assert.equal(code, 1);
  assert.match(said, /additional properties 'readinesProbe' not allowed/);
});

test('the chart refuses an unknown value, and its defaults alone', { skip }, async () => {
  const [values = ''] = valuesFiles().keys();
  const args = ['template', 'penstock', chart];
  const given = ['--values', join(chart, values), '--set', 'gateway.replica=3'];
  const unknown = await runTool(await helm(), [...args, ...given]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.said, /additional properties 'replica' not allowed/);
  const bare = await runTool(await helm(), args);
  assert.equal(bare.code, 1);
  assert.match(bare.said, /set exactly one of app\.schema, app\.existingConfigMap/);
});
