import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.ts';
import { compileApp } from './compile.ts';
import type { AppPlan } from './plan.ts';
import { SchemaError } from './problems.ts';

/**
 * Compiles an app's schema.
 * @param schema a file's path, an app's folder, or the SDL itself (known by its braces or line breaks).
 * @throws SchemaError when the file can't be read, or with all that is wrong in it.
 */
export async function loadApp(schema: string): Promise<AppPlan> {
  if (/[{\n]/.test(schema)) return compileApp({ name: 'PENSTOCK_SCHEMA', body: schema });
  const { name, body } = await readSchema(schema);
  return compileApp({ name, body });
}

async function readSchema(path: string): Promise<{ name: string; body: string }> {
  let name = path;
  try {
    if ((await stat(path)).isDirectory()) name = join(path, 'schema.graphql');
    const body = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(name));
    return { name, body };
  } catch (error) {
    throw new SchemaError([
      { file: name, line: 1, column: 1, message: `the schema can't be read: ${messageOf(error)}` },
    ]);
  }
}
