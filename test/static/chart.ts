import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';

const execute = promisify(execFile);

export const root = join(import.meta.dirname, '../..');
export const chart = join(root, 'helm/penstock');

/** What a command came to: stdout and stderr together, as a person would see them. */
export interface Outcome {
  code: number;
  stdout: string;
  said: string;
}

/** Runs a tool to its end; an exit code other than 0 is an outcome, too. */
export async function runTool(program: string, args: readonly string[], cwd = root): Promise<Outcome> {
  try {
    const { stdout, stderr } = await execute(program, [...args], { cwd, maxBuffer: 64 << 20 });
    return { code: 0, stdout, said: `${stdout}${stderr}` };
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: number | string; stdout?: string; stderr?: string };
    if (typeof code !== 'number') throw error;
    return { code, stdout: stdout ?? '', said: `${stdout}${stderr}` };
  }
}

/** Returns every values file of the chart but its defaults, which lack what must be given: path below the chart → name of its golden render. */
export function valuesFiles(): Map<string, string> {
  const files = globSync(['ci/*.yaml', 'values-*.yaml'], { cwd: chart }).sort();
  return new Map(files.map(file => [file, file.replace('/', '-')]));
}

/** Renders the chart as the release `penstock` in the namespace `penstock`. @throws Error with what Helm says, where it refuses. */
export async function render(helm: string, values: string, kubeVersion = '1.36.0'): Promise<string> {
  const args = ['template', 'penstock', chart, '--namespace', 'penstock', '--kube-version', kubeVersion];
  const { code, stdout, said } = await runTool(helm, [...args, '--values', join(chart, values)]);
  if (code !== 0) throw new Error(`${values}: ${said}`);
  return stdout;
}

/** An object of Kubernetes, as far as the tests look into it. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; annotations?: Record<string, string> };
  spec?: unknown;
}

/** Parses a stream of YAML documents; empty ones are left out. @throws for YAML with errors, such as a key that is there twice. */
export function objectsOf(stream: string): KubernetesObject[] {
  return parseAllDocuments(stream).flatMap(document => {
    if (document.errors[0] !== undefined) throw document.errors[0];
    const object = document.toJS() as KubernetesObject | null;
    return object === null ? [] : [object];
  });
}

/** Returns kubeconform's arguments for a strict check against the schemas of one version of Kubernetes, and those of CRDs. */
export function strictArguments(kubernetes: 'v1.30' | 'v1.36'): string[] {
  const schemas = join(import.meta.dirname, 'schemas');
  return [
    ...['-strict', '-summary', '-schema-location'],
    `${schemas}/kubernetes/${kubernetes}/{{.ResourceKind}}{{.KindSuffix}}.json`,
    ...['-schema-location', `${schemas}/crds/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json`],
  ];
}
