import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { z } from 'zod';

/** A deliberately broken variant of the code: one text of one source file, replaced when the file is loaded. */
export interface Mutant {
  /** From the root, as `lib/kafka/lane.ts`. */
  file: string;
  /** Occurs exactly once in the file. */
  find: string;
  replace: string;
}

/** The exit code of a process whose mutant does not fit the source any more. */
export const staleMutantCode = 86;

export const root = join(import.meta.dirname, '..', '..');

const shape = z.strictObject({ file: z.string(), find: z.string().min(1), replace: z.string() });

/** Else it is text that a module reads. */
export const isModule = (file: string): boolean => file.endsWith('.ts');

/** @param json the value of TEST_MUTANT. @throws Error where it is none. */
export function readMutants(json: string | undefined): Mutant[] {
  if (json === undefined) throw new Error('TEST_MUTANT (mutants as JSON) is not set');
  return z.array(shape).parse(JSON.parse(json));
}

/** @throws Error when the text to be replaced does not occur exactly once. */
export function applyMutant({ file, find, replace }: Mutant, source: string): string {
  const count = source.split(find).length - 1;
  if (count !== 1) throw new Error(`the mutant of ${file} is stale: ${JSON.stringify(find)} occurs ${count} times`);
  return source.replace(find, () => replace);
}

/** What a file becomes under those of the mutants that are its own. @throws Error as {@link applyMutant}. */
export function applyMutants(mutants: readonly Mutant[], file: string, source: string): string {
  return mutants.filter(mutant => mutant.file === file).reduce((text, mutant) => applyMutant(mutant, text), source);
}

/**
 * The variables under which node, and every node that it starts, runs the mutants; a stack hands them on to its services.
 * @throws Error when the mutant does not fit the source, or what it makes of a module cannot be parsed: neither is a mutant caught.
 */
export function mutantVariables(...mutants: readonly Mutant[]): Record<'NODE_OPTIONS' | 'TEST_MUTANT', string> {
  for (const file of new Set(mutants.map(mutant => mutant.file))) {
    const source = applyMutants(mutants, file, readFileSync(join(root, file), 'utf8'));
    if (isModule(file)) stripTypeScriptTypes(source);
  }
  const hook = pathToFileURL(join(import.meta.dirname, 'mutation.ts')).href;
  return { NODE_OPTIONS: `--import=${hook}`, TEST_MUTANT: JSON.stringify(mutants) };
}

/** How one test ended while a mutant was on. */
export interface MutantRun {
  outcome: 'failed' | 'passed' | 'not run';
  /** Everything that the test's process said. */
  output: string;
}

/**
 * Runs one test of a file in a process of its own with the mutant on.
 * @param test its whole name.
 * @param timeoutMs when the process is killed; a mutant that makes its test hang counts as failed.
 */
export async function runWithMutant(
  mutant: Mutant,
  { file, test, timeoutMs }: { file: string; test: string; timeoutMs: number },
): Promise<MutantRun> {
  // NODE_TEST_CONTEXT would make it report to our own parent
  const { NODE_TEST_CONTEXT: _, ...plain } = process.env;
  const env = { ...plain, ...mutantVariables(mutant) };
  const pattern = `^${test.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')}$`;
  // --test-force-exit: a test that failed may leave handles open
  const args = ['--test-reporter=tap', '--test-force-exit', `--test-name-pattern=${pattern}`, join(root, file)];
  const child = spawn(process.execPath, args, { env, cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  clearTimeout(timer);
  return { outcome: late && code === null ? 'failed' : outcomeOf(test, output), output };
}

/** What TAP says of the test; its `#` and `\` are escaped there. */
function outcomeOf(test: string, output: string): MutantRun['outcome'] {
  const name = test.replaceAll(/[\\#]/g, '\\$&');
  for (const line of stripVTControlCharacters(output).split('\n')) {
    const found = /^\s*(not ok|ok) \d+ - (.*?)(?: # (SKIP|TODO).*)?$/.exec(line);
    if (found?.[2] === name && found[3] === undefined) return found[1] === 'ok' ? 'passed' : 'failed';
  }
  return 'not run';
}
