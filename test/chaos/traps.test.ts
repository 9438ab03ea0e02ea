import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { mutantVariables } from '../support/mutate.ts';
import { layTraps } from './traps.ts';

test('each trap still has its place in the source', () => {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-traps-'));
  try {
    mutantVariables(...layTraps(folder).mutants);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
