import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

/** Replaces a file in one step: a reader sees the old or the new one, never half of it. Synchronous, so that nothing comes between. */
export function replaceFile(path: string, content: string, mode = 0o644): void {
  const draft = `${path}.${randomBytes(4).toString('hex')}`;
  writeFileSync(draft, content, { mode });
  renameSync(draft, path);
}

export function replaceJson(path: string, value: unknown, mode = 0o644): void {
  replaceFile(path, `${JSON.stringify(value, null, 1)}\n`, mode);
}

/** The file's text, or nothing when there is no such file. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
