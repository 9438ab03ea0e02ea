import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { z } from 'zod';
import { helm, kubeScore, withoutTools } from '../support/tools/index.ts';
import { render, runTool, valuesFiles } from './chart.ts';

/** What kube-score finds and we mean to keep: the check, what it says, and why that is meant. Anything else it finds is a failure. */
const deliberate: readonly { check: string; says: RegExp; why: string }[] = [
  {
    check: 'container-resources',
    says: /CPU limit is not set/,
    why: 'a limit throttles a service that could use idle cores; requests share them out',
  },
  {
    check: 'container-ephemeral-storage-request-and-limit',
    says: /Ephemeral Storage (limit|request) is not set/,
    why: 'the root file system is read-only and /tmp has a size limit; only logs are written',
  },
  {
    check: 'container-image-pull-policy',
    says: /ImagePullPolicy is not set to Always/,
    why: 'a tag of ours is never moved; image.pullPolicy can say otherwise',
  },
  {
    check: 'deployment-has-host-podantiaffinity',
    says: /does not have a host podAntiAffinity set/,
    why: 'topologySpreadConstraints spread the Pods over hosts and zones',
  },
  {
    check: 'pod-networkpolicy',
    says: /does not have a matching NetworkPolicy/,
    why: 'networkPolicy.enabled is off by default: who has no policies yet would be cut off',
  },
];

const Report = z.array(
  z.object({
    object_name: z.string(),
    checks: z.array(
      z.object({
        check: z.object({ id: z.string() }),
        grade: z.number(),
        skipped: z.boolean(),
        comments: z.array(z.object({ path: z.string(), summary: z.string() })).nullable(),
      }),
    ),
  }),
);
/** kube-score's grades: 1 critical, 5 warning, 7 almost OK, 10 OK. */
const almostOk = 7;

const skip = await withoutTools(helm, kubeScore);
const folder = await mkdtemp(join(tmpdir(), 'penstock-policy-'));
after(() => rm(folder, { recursive: true }));
const used = new Set<string>();

for (const [values, golden] of valuesFiles()) {
  test(`${values}: kube-score finds nothing that is not meant`, { skip }, async () => {
    const file = join(folder, golden);
    await writeFile(file, await render(await helm(), values));
    const args = ['score', '--kubernetes-version', 'v1.30', '--output-format', 'json', file];
    const { stdout } = await runTool(await kubeScore(), args);
    const objects = Report.parse(JSON.parse(stdout));
    assert.ok(objects.length > 5);
    const found: string[] = [];
    for (const { object_name, checks } of objects) {
      for (const { check, grade, skipped, comments } of checks) {
        if (skipped || grade >= almostOk) continue;
        for (const { path, summary } of comments ?? []) {
          const known = deliberate.find(({ check: id, says }) => id === check.id && says.test(summary));
          if (known === undefined) found.push(`${object_name} ${path}: ${check.id}: ${summary}`);
          else used.add(known.check);
        }
      }
    }
    assert.deepEqual(found, []);
  });
}

test('each finding that is meant is still found', { skip }, () => {
  assert.deepEqual([...used].sort(), deliberate.map(({ check }) => check).sort());
});
