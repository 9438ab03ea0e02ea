import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { baseFiles } from '../../k8s/generate.ts';
import { helm, kubeconform, kubectl, oldestKubectl, type Tool, withoutTools } from '../support/tools/index.ts';
import { objectsOf, root, runTool, strictArguments } from './chart.ts';

const skip = await withoutTools(helm, kubectl, oldestKubectl, kubeconform);
const folder = await mkdtemp(join(tmpdir(), 'penstock-kustomize-'));
after(() => rm(folder, { recursive: true }));

const k8s = join(root, 'k8s');
const parts = ['base', 'overlays/local', 'overlays/production'];
/** Kinds of operators, whose schemas no package that we fetch has. Their objects are examples; what they refer to is tested below. */
const ofOperators = [
  'Kafka',
  'KafkaNodePool',
  'KafkaTopic',
  'KafkaUser',
  'RedisReplication',
  'RedisSentinel',
  'Cluster',
];

const Workload = z.looseObject({
  template: z.object({
    spec: z.object({
      containers: z.array(
        z.object({
          image: z.string(),
          env: z.array(z.object({ name: z.string(), value: z.string().optional() })).default([]),
        }),
      ),
      volumes: z.array(z.looseObject({ name: z.string() })),
    }),
  }),
});

const built = new Map<string, Promise<string>>();

/** Builds a part, once by each program. */
function build(part: string, tool: Tool = kubectl): Promise<string> {
  const key = `${part} ${tool === kubectl}`;
  const known = built.get(key) ?? buildNow(part, tool);
  built.set(key, known);
  return known;
}

async function buildNow(part: string, tool: Tool): Promise<string> {
  const { code, stdout, said } = await runTool(await tool(), ['kustomize', join(k8s, part)]);
  assert.equal(code, 0, said);
  return stdout;
}

/** The Pods' specs of our own Deployments and Jobs, by name. */
async function workloads(part: string): Promise<Map<string, z.infer<typeof Workload>['template']['spec']>> {
  const ours = objectsOf(await build(part)).filter(
    ({ kind, metadata }) => ['Deployment', 'Job'].includes(kind) && metadata.name.startsWith('penstock-'),
  );
  return new Map(ours.map(({ metadata, spec }) => [metadata.name, Workload.parse(spec).template.spec]));
}

test('the base is what the chart renders', { skip }, async () => {
  const expected = await baseFiles();
  assert.ok(expected.size > 4);
  assert.deepEqual(readdirSync(join(k8s, 'base')).sort(), [...expected.keys()].sort(), 'run: npm run k8s');
  for (const [name, text] of expected)
    assert.equal(readFileSync(join(k8s, 'base', name), 'utf8'), text, 'run: npm run k8s');
});

test('nothing in the base is left of Helm', { skip }, async () => {
  const base = await build('base');
  assert.doesNotMatch(base, /helm/i);
  for (const object of objectsOf(base)) assert.equal(object.metadata.namespace, 'penstock');
});

for (const part of parts) {
  test(`k8s/${part}: the oldest Kustomize and the newest build the same objects, and they are valid`, {
    skip,
  }, async () => {
    const stream = await build(part);
    assert.deepEqual(objectsOf(await build(part, oldestKubectl)), objectsOf(stream));
    const file = join(folder, `${part.replace('/', '-')}.yaml`);
    await writeFile(file, stream);
    for (const version of ['v1.30', 'v1.36'] as const) {
      const args = ['-skip', ofOperators.join(','), ...strictArguments(version), file];
      const { code, said } = await runTool(await kubeconform(), args);
      assert.equal(code, 0, said);
      const examples = objectsOf(stream).filter(({ kind }) => ofOperators.includes(kind)).length;
      assert.match(said, new RegExp(`Invalid: 0, Errors: 0, Skipped: ${examples}\n`));
    }
  });
}

for (const part of ['overlays/local', 'overlays/production']) {
  test(`k8s/${part}: every setting is in every process that has it, and nowhere else`, { skip }, async () => {
    const settings = parse(readFileSync(join(k8s, part, 'settings.yaml'), 'utf8')) as { data: Record<string, string> };
    const pods = await workloads(part);
    assert.ok(pods.size >= 4);
    for (const [setting, value] of Object.entries(settings.data)) {
      const variable = `PENSTOCK_${setting.toUpperCase().replaceAll('-', '_')}`;
      const values = [...pods.values()].flatMap(({ containers }) =>
        containers.flatMap(({ env }) => env.filter(({ name }) => name === variable).map(one => one.value)),
      );
      assert.ok(values.length > 0, `${variable} is nowhere`);
      assert.deepEqual([...new Set(values)], [value], variable);
    }
    const isSetting = (name: string) =>
      settings.data[name.slice('PENSTOCK_'.length).toLowerCase().replaceAll('_', '-')];
    const others = (of: typeof pods) =>
      [...of].map(([name, { containers }]) => [
        name,
        containers.map(({ env }) => env.filter(variable => isSetting(variable.name) === undefined)),
      ]);
    assert.deepEqual(others(pods), others(new Map([...(await workloads('base'))].filter(([name]) => pods.has(name)))));
    assert.ok(!objectsOf(await build(part)).some(({ kind }) => kind === 'ConfigMap'), 'settings are not applied');
  });
}

test('the local servers are those of compose.yaml', { skip }, async () => {
  const compose = readFileSync(join(root, 'compose.yaml'), 'utf8');
  const images = [...(await build('overlays/local')).matchAll(/image: (.*)/g)].map(([, image = '']) => image);
  const servers = [...new Set(images)].filter(image => !image.startsWith('penstock'));
  assert.equal(servers.length, 3);
  for (const image of servers) assert.ok(compose.includes(`image: ${image}\n`), image);
});

test('in production, TLS is verified by the files of the operators’ Secrets', { skip }, async () => {
  for (const [name, { volumes, containers }] of await workloads('overlays/production')) {
    const secrets = JSON.stringify(volumes.filter(volume => ['postgres', 'kafka-tls'].includes(volume.name)));
    for (const secret of [
      'penstock-cluster-ca-cert',
      'penstock-client',
      'penstock-postgres-app',
      'penstock-postgres-ca',
    ])
      assert.ok(secrets.includes(`"name":"${secret}"`), `${name} does not mount ${secret}`);
    assert.doesNotMatch(secrets, /secretName/);
    assert.match(containers[0]?.image ?? '', /^registry\.example\/penstock:/);
  }
});

test('the topics of production are those of the bank, with one count of partitions, and that of the console', {
  skip,
}, async () => {
  const schema = readFileSync(join(root, 'apps/bank/schema.graphql'), 'utf8');
  const ofSchema = new Set(
    [...schema.matchAll(/(?:topic|feedback|topics): (\[[^\]]*\]|"[^"]*")/g)].flatMap(([, names = '']) =>
      [...names.matchAll(/"([^"]+)"/g)].map(([, name = '']) => name),
    ),
  );
  const Topic = z.object({ topicName: z.string().optional(), partitions: z.number() });
  const topics = objectsOf(await build('overlays/production')).filter(({ kind }) => kind === 'KafkaTopic');
  const counts = new Map(
    topics.map(({ metadata, spec }) => {
      const { topicName, partitions } = Topic.parse(spec);
      return [topicName ?? metadata.name, partitions];
    }),
  );
  assert.equal(counts.get('penstock_fleet'), 1);
  counts.delete('penstock_fleet');
  assert.deepEqual(new Set(counts.values()), new Set([24]));
  const named = [...counts.keys()];
  const deadLetters = named.filter(name => name.endsWith('-dlt'));
  assert.deepEqual(named.filter(name => !deadLetters.includes(name)).sort(), [...ofSchema].sort());
  for (const name of deadLetters) assert.ok(ofSchema.has(name.replace(/-dlt$/, '')), name);
});
