import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { mutantVariables } from '../support/mutate.ts';
import { mutants } from './mutants.ts';
import { layTraps } from './traps.ts';

test('each trap and each mutant, and both together, still have their place in the source', () => {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-traps-'));
  try {
    const traps = layTraps(folder).mutants;
    mutantVariables(...traps);
    for (const { changes } of Object.values(mutants)) mutantVariables(...traps, ...changes);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
