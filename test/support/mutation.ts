/**
 * Loaded by `node --import` before anything else: replaces texts in source files as they are loaded, so that the
 * product needs no hooks for its mutants. TEST_MUTANT is a list of {@link Mutant} as JSON. A process that never loads the file runs
 * as it is; one in which the text does not occur exactly once must not look like a mutant that was caught, so it ends
 * at once with {@link staleMutantCode}.
 */
import { writeSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { applyMutants, readMutants, root, staleMutantCode } from './mutate.ts';

const mutants = readMutants(process.env.TEST_MUTANT);

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.startsWith('file:')) return loaded;
    const file = relative(root, fileURLToPath(url));
    if (!mutants.some(mutant => mutant.file === file)) return loaded;
    const source =
      typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source ?? undefined);
    try {
      return { ...loaded, source: applyMutants(mutants, file, source) };
    } catch (error) {
      writeSync(2, `${error instanceof Error ? error.message : error}\n`);
      process.exit(staleMutantCode);
    }
  },
});
