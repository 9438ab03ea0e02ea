/**
 * `node test/static/schemas/generate.ts`: writes the JSON schemas by which kubeconform reads what we render. They are made from the
 * OpenAPI document of Kubernetes and from the CRDs of others, which Go modules carry; descriptions are left out. Needs `go`.
 *
 * Kubernetes itself comes in two versions: the oldest that the chart allows and the newest. `kubernetes/<version>/<kind>…json` refers to
 * `_definitions.json` beside it; `crds/<group>/<kind>_<version>.json` stands alone.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Schema = Record<string, Json>;

const versions = ['v1.30.14', 'v1.36.3'];

/** The kinds that the chart, the manifests and their examples may hold. */
const kinds = [
  ...['core/v1/ConfigMap', 'core/v1/Namespace', 'core/v1/Pod', 'core/v1/Secret', 'core/v1/Service'],
  ...['core/v1/ServiceAccount', 'core/v1/PersistentVolumeClaim', 'apps/v1/Deployment', 'apps/v1/StatefulSet'],
  ...['batch/v1/Job', 'batch/v1/CronJob', 'autoscaling/v2/HorizontalPodAutoscaler', 'policy/v1/PodDisruptionBudget'],
  ...['networking/v1/Ingress', 'networking/v1/NetworkPolicy', 'rbac/v1/Role', 'rbac/v1/RoleBinding'],
];

const customResources = [
  {
    module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
    folder: 'example/prometheus-operator-crd',
    kinds: ['PodMonitor', 'PrometheusRule', 'ServiceMonitor'],
  },
  { module: 'sigs.k8s.io/gateway-api@v1.6.3', folder: 'config/crd/standard', kinds: ['HTTPRoute'] },
  { module: 'github.com/kedacore/keda/v2@v2.21.0', folder: 'config/crd/bases', kinds: ['ScaledObject'] },
];

const here = import.meta.dirname;
const intOrString: Schema = { oneOf: [{ type: 'string' }, { type: 'integer' }, { type: 'null' }] };
const quantity: Schema = { oneOf: [{ type: 'string' }, { type: 'number' }, { type: 'null' }] };
const nested = ['items', 'additionalProperties', 'allOf', 'anyOf', 'oneOf', 'not'];

/** Returns a schema that refuses unknown properties, allows null where a property is optional, and holds no descriptions. */
function strict(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== 'object' || schema === null) return schema;
  if (schema.format === 'int-or-string' || schema['x-kubernetes-int-or-string'] === true) return intOrString;
  if (typeof schema.$ref === 'string')
    return { $ref: schema.$ref.replace('#/definitions/', '_definitions.json#/definitions/') };
  const result: Schema = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'properties') {
      const properties = Object.entries(value as Schema).map(([name, property]) => [name, strict(property)]);
      result.properties = Object.fromEntries(properties) as Schema;
    } else if (nested.includes(key)) result[key] = strict(value);
    else if (key.startsWith('x-') || ['format', 'default', 'description'].includes(key)) continue;
    else result[key] = value;
  }
  const open = 'additionalProperties' in result || schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (result.properties !== undefined && !open) result.additionalProperties = false;
  const required = (result.required ?? []) as string[];
  for (const [name, property] of Object.entries((result.properties ?? {}) as Record<string, Schema>))
    if (!required.includes(name) && typeof property.type === 'string') property.type = [property.type, 'null'];
  return result;
}

function moduleFolder(module: string): string {
  const said = execFileSync('go', ['mod', 'download', '-json', module], { encoding: 'utf8' });
  return (JSON.parse(said) as { Dir: string }).Dir;
}

function write(path: string, schema: Schema): void {
  mkdirSync(join(here, path, '..'), { recursive: true });
  writeFileSync(join(here, path), `${JSON.stringify(schema)}\n`);
}

function writeKubernetes(version: string): void {
  const file = join(moduleFolder(`k8s.io/kubernetes@${version}`), 'api/openapi-spec/swagger.json');
  const { definitions } = JSON.parse(readFileSync(file, 'utf8')) as { definitions: Record<string, Schema> };
  const folder = `kubernetes/${version.replace(/\.\d+$/, '')}`;
  const used: Record<string, Schema> = {};
  const take = (name: string): Schema => {
    const known = used[name];
    if (known !== undefined) return known;
    const isQuantity = name.endsWith('.resource.Quantity');
    const schema = isQuantity ? quantity : (strict(definitions[name] ?? {}) as Schema);
    used[name] = schema;
    for (const [, inner = ''] of JSON.stringify(schema).matchAll(/_definitions\.json#\/definitions\/([^"]+)/g))
      take(inner);
    return schema;
  };
  for (const kind of kinds) {
    const name = `io.k8s.api.${kind.replaceAll('/', '.')}`;
    const schema = take(name);
    const [identity] = (definitions[name]?.['x-kubernetes-group-version-kind'] ?? []) as Record<string, string>[];
    if (identity === undefined) throw new Error(`${version} has no ${name}`);
    const { group = '', version: apiVersion = '', kind: title = '' } = identity;
    const only = (value: string): Schema => ({ type: 'string', enum: [value] });
    const properties: Schema = {
      ...(schema.properties as Schema),
      ...{ kind: only(title), apiVersion: only(group === '' ? apiVersion : `${group}/${apiVersion}`) },
    };
    const suffix = group === '' ? apiVersion : `${group.split('.')[0]}-${apiVersion}`;
    const required = [...new Set([...((schema.required ?? []) as string[]), 'apiVersion', 'kind'])];
    write(`${folder}/${title.toLowerCase()}-${suffix}.json`, { ...schema, properties, required });
  }
  const sorted = Object.fromEntries(Object.entries(used).sort(([a], [b]) => (a < b ? -1 : 1)));
  write(`${folder}/_definitions.json`, { definitions: sorted });
}

interface Crd {
  spec: {
    group: string;
    names: { kind: string };
    versions: { name: string; served: boolean; schema: { openAPIV3Schema: Schema } }[];
  };
}

function writeCustomResources({ module, folder, kinds: wanted }: (typeof customResources)[number]): void {
  const path = join(moduleFolder(module), folder);
  for (const file of readdirSync(path).filter(name => name.endsWith('.yaml'))) {
    for (const document of parseAllDocuments(readFileSync(join(path, file), 'utf8'))) {
      const { spec } = document.toJS() as Crd;
      if (spec === undefined || !wanted.includes(spec.names?.kind)) continue;
      for (const { name, served, schema } of spec.versions) {
        if (!served) continue;
        const made = strict(schema.openAPIV3Schema) as { properties: Schema };
        made.properties.metadata = { type: 'object' };
        write(`crds/${spec.group}/${spec.names.kind.toLowerCase()}_${name}.json`, made);
      }
    }
  }
}

for (const folder of ['kubernetes', 'crds']) rmSync(join(here, folder), { recursive: true, force: true });
for (const version of versions) writeKubernetes(version);
for (const resources of customResources) writeCustomResources(resources);
