/** `node dev/servers/pin.ts`: fetches what pom.xml names, for all platforms, and writes checksums.txt anew. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reportToStderr } from '../stack/trouble.ts';
import { checksumsFile, filesIn, runMaven, sha256 } from './cache.ts';

const folder = await mkdtemp(join(tmpdir(), 'penstock-pin-'));
try {
  await runMaven(folder, 'redis-server-*', reportToStderr, new AbortController().signal);
  const lines: string[] = [];
  for (const path of await filesIn(folder)) lines.push(`${await sha256(join(folder, path))}  ${path}\n`);
  await writeFile(checksumsFile, lines.join(''));
} finally {
  await rm(folder, { recursive: true, force: true });
}
