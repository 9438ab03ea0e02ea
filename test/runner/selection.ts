import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { parseArgs } from 'node:util';

/** Which tests to run. */
export interface Selection {
  /** Absolute paths of files that may run beside each other, on the runner's stack. */
  together: readonly string[];
  /** Files that start stacks or clusters of their own, and mostly wait: one at a time, beside those. */
  apart: readonly string[];
  /** Files that need the machine for themselves: one at a time, when all others are done. */
  alone: readonly string[];
  /** Whether the others need services, or only Kafka, Redis and PostgreSQL. */
  needsServices: boolean;
  /** Whether the others open the pages that the router serves. */
  needsPages: boolean;
  /** Whether any file needs Kafka, Redis or PostgreSQL. */
  needsServers: boolean;
  /** Whether any file needs the tools that look at the chart and the manifests. */
  needsTools: boolean;
  /** Golden files are written anew instead of compared. */
  update: boolean;
  /** Everything is to run: `npm test` without arguments. */
  everything: boolean;
  /** Only tests with names like these. */
  names: readonly string[];
}

const staticFolder = 'test/static/';
const apartFolders = ['test/faults/', 'test/dev/', staticFolder];
/** How a file says where it runs, and why. `starts first` is for the long ones: begun last, they would run on by themselves. */
const marks = {
  apart: /^\/\/ runs apart: \S/m,
  alone: /^\/\/ runs alone: \S/m,
  first: /^\/\/ starts first: \S/m,
};

/**
 * Reads `npm test -- [path or part of a path …] [--name pattern] [--update]`.
 * @throws Error naming a filter that fits no test file.
 */
export function select(args: readonly string[], root: string): Selection {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { name: { type: 'string', multiple: true }, update: { type: 'boolean', default: false } },
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
  const isMarked = (mark: RegExp) => (file: string) => mark.test(readFileSync(file, 'utf8'));
  const alone = chosen.filter(isMarked(marks.alone));
  const shared = chosen.filter(file => !alone.includes(file));
  const apart = shared.filter(file => inFolders(apartFolders)(file) || isMarked(marks.apart)(file));
  const rest = shared.filter(file => !apart.includes(file));
  const first = rest.filter(isMarked(marks.first));
  const together = [...first, ...rest.filter(file => !first.includes(file))];
  return {
    together,
    apart,
    alone,
    needsServices: together.some(inFolders(['test/e2e/', 'test/browser/'])),
    needsPages: together.some(inFolders(['test/browser/'])),
    needsServers: !chosen.every(inFolders([staticFolder])),
    needsTools: chosen.some(inFolders([staticFolder])),
    update: values.update,
    everything: positionals.length === 0 && values.name === undefined,
    names: values.name ?? [],
  };
}

/** `lib/kafka`, a folder of sources, means its tests: only in `test` is a path meant as it is. */
function fits(file: string, filter: string, root: string): boolean {
  const path = resolve(root, filter);
  const isOfTests = path.startsWith(join(root, 'test') + sep) && existsSync(path);
  if (!isOfTests) return relative(root, file).includes(filter);
  return statSync(path).isDirectory() ? file.startsWith(path + sep) : file === path;
}

function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return testFiles(path);
    return entry.name.endsWith('.test.ts') ? [path] : [];
  });
}
