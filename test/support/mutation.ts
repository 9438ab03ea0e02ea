/**
 * Loaded by `node --import` before anything else: replaces texts in source files as they are loaded, so that the
 * product needs no hooks for its mutants. TEST_MUTANT is a list of {@link Mutant} as JSON. A process that never loads the file runs
 * as it is; one in which the text does not occur exactly once must not look like a mutant that was caught, so it ends
 * at once with {@link staleMutantCode}. What is no module (a script in Lua) is replaced where it is read as text.
 */
import fs, { writeSync } from 'node:fs';
import { registerHooks, syncBuiltinESMExports } from 'node:module';
import { relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { applyMutants, isModule, readMutants, root, staleMutantCode } from './mutate.ts';

const mutants = readMutants(process.env.TEST_MUTANT);
const isMutated = (file: string) => mutants.some(mutant => mutant.file === file);

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.startsWith('file:')) return loaded;
    const file = relative(root, fileURLToPath(url));
    if (!isMutated(file)) return loaded;
    const source =
      typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source ?? undefined);
    return { ...loaded, source: mutated(file, source) };
  },
});

if (mutants.some(({ file }) => !isModule(file))) {
  const read = fs.readFileSync;
  const readMutated = (...args: Parameters<typeof read>): string | NonSharedBuffer => {
    const content = read(...args);
    const [path] = args;
    if (typeof content !== 'string' || typeof path === 'number') return content;
    const file = relative(root, path instanceof URL ? fileURLToPath(path) : resolve(path.toString()));
    return isMutated(file) ? mutated(file, content) : content;
  };
  fs.readFileSync = readMutated as typeof read;
  syncBuiltinESMExports();
}

function mutated(file: string, source: string): string {
  try {
    return applyMutants(mutants, file, source);
  } catch (error) {
    writeSync(2, `${error instanceof Error ? error.message : error}\n`);
    process.exit(staleMutantCode);
  }
}
