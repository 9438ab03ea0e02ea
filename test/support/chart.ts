import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments, stringify } from 'yaml';
import { z } from 'zod';
import { root } from '../../dev/stack/options.ts';
import { ToolMissing } from './tools/cache.ts';
import { helm, oldestHelm } from './tools/helm.ts';

const execute = promisify(execFile);
export const chartFolder = join(root, 'helm/penstock');

/** Says why tests of the chart are skipped; false where Helm is there. */
export const withoutHelm: string | false = await Promise.all([helm(), oldestHelm()]).then(
  () => false,
  (error: unknown) => {
    if (error instanceof ToolMissing) return error.message;
    throw error;
  },
);

/** An object that a chart renders, as far as tests look at all of them. */
const rendered = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
});
// biome-ignore lint/suspicious/noExplicitAny: tests look into objects of many kinds, and fail where a path is not there
export type Rendered = z.infer<typeof rendered> & { spec?: any; data?: any };

export interface Chart {
  objects: readonly Rendered[];
  /** The object of this kind and name; without the name, the only one of its kind. */
  one(kind: string, name?: string): Rendered;
  all(kind: string): Rendered[];
}

export type Values = Readonly<Record<string, unknown>>;

/** What every installation needs; given values go before it. */
export const least: Values = {
  app: { bundled: 'bank' },
  kafka: { brokers: ['kafka:9092'] },
  redis: { url: 'redis://redis:6379' },
  postgres: { existingSecret: 'postgres' },
  cursor: { existingSecret: 'cursor' },
};

const release = ['shop', chartFolder, '--namespace', 'trade'];

/** Renders the chart as release `shop` in namespace `trade`. @param values what differs from `least`, or the name of a file beside the chart. */
export async function render(values: Values | string, program = helm): Promise<Chart> {
  return chartOf(await run(values, program, ['template', ...release]));
}

/** Returns what `helm install` says when it is done. */
export async function notesOf(values: Values | string): Promise<string> {
  const said = await run(values, helm, ['install', ...release, '--dry-run=client']);
  return said.slice(said.search(/^NOTES:$/m));
}

async function run(values: Values | string, program: typeof helm, args: readonly string[]): Promise<string> {
  const file = typeof values === 'string' ? join(chartFolder, values) : await written({ ...least, ...values });
  try {
    return (await execute(await program(), [...args, '-f', file], { maxBuffer: 16 << 20 })).stdout;
  } finally {
    if (typeof values !== 'string') await rm(join(file, '..'), { recursive: true });
  }
}

/** Asserts that the chart refuses these values, with a message like this. */
export async function refused(values: Values, message: RegExp): Promise<void> {
  await assert.rejects(render(values), (error: Error) => {
    assert.match(error.message, message);
    return true;
  });
}

async function written(values: Values): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'penstock-values-')), 'values.yaml');
  // As Helm reads it: `n` is a boolean there unless it is quoted.
  await writeFile(file, stringify(values, { version: '1.1' }));
  return file;
}

function chartOf(text: string): Chart {
  const objects = parseAllDocuments(text).flatMap(document => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    const value: unknown = document.toJS();
    return value === null ? [] : [rendered.parse(value)];
  });
  const all = (kind: string) => objects.filter(each => each.kind === kind);
  return {
    objects,
    all,
    one(kind, name) {
      const found = all(kind).filter(({ metadata }) => name === undefined || metadata.name === name);
      const [only] = found;
      assert.ok(only !== undefined && found.length === 1, `${found.length} objects ${kind} ${name ?? ''}`);
      return only;
    },
  };
}
