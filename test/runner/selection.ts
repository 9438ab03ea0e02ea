import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { parseArgs } from 'node:util';

/** Which tests to run. */
export interface Selection {
  /** Absolute paths of files that may run beside each other, on the runner's stack. */
  together: readonly string[];
  /** Files that start stacks of their own, or stop servers: one at a time, when the others are done. */
  alone: readonly string[];
  /** Whether the others need services, or only Kafka, Redis and PostgreSQL. */
  needsServices: boolean;
  /** Everything is to run: `npm test` without arguments. */
  everything: boolean;
  /** Only tests with names like these. */
  names: readonly string[];
}

const aloneFolders = ['test/faults/', 'test/dev/'];
/** How a file elsewhere says that it must not share the machine with others, and why. */
const aloneMark = /^\/\/ runs alone: \S/m;

/**
 * Reads `npm test -- [path or part of a path …] [--name pattern]`.
 * @throws Error naming a filter that fits no test file.
 */
export function select(args: readonly string[], root: string): Selection {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { name: { type: 'string', multiple: true } },
    allowPositionals: true,
  });
  const all = testFiles(join(root, 'test')).sort();
  const paths = new Set<string>();
  for (const filter of positionals) {
    const fitting = all.filter(file => fits(file, filter, root));
    if (fitting.length === 0) throw new Error(`no test file fits "${filter}"`);
    for (const file of fitting) paths.add(file);
  }
  const chosen = positionals.length === 0 ? all : all.filter(file => paths.has(file));
  const inFolders = (folders: readonly string[]) => (file: string) =>
    folders.some(folder => relative(root, file).split(sep).join('/').startsWith(folder));
  const isAlone = (file: string) => inFolders(aloneFolders)(file) || aloneMark.test(readFileSync(file, 'utf8'));
  const together = chosen.filter(file => !isAlone(file));
  return {
    together,
    alone: chosen.filter(isAlone),
    needsServices: together.some(inFolders(['test/e2e/'])),
    everything: positionals.length === 0 && values.name === undefined,
    names: values.name ?? [],
  };
}

function fits(file: string, filter: string, root: string): boolean {
  const path = resolve(root, filter);
  if (!existsSync(path)) return relative(root, file).includes(filter);
  return statSync(path).isDirectory() ? file.startsWith(path + sep) : file === path;
}

function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return testFiles(path);
    return entry.name.endsWith('.test.ts') ? [path] : [];
  });
}
