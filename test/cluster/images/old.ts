import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { root as clone } from '../../../dev/stack/options.ts';
import { makeRoot, writePenstock } from '../../../image/penstock.ts';
import { imageNames } from './images.ts';

const run = promisify(execFile);

/** The last commit before there was an image or a chart: what an upgrade begins from. */
const commit = '4e7239f';

/**
 * Writes the image of an older commit's services, with the tag `old`. They know no `<NAME>_FILE` and refuse variables that came
 * later, which this chart sets; so each begins with a few lines that read the files and take away what is unknown.
 */
export async function writeOldImage(to: string, work: string): Promise<void> {
  const sources = join(work, commit);
  const root = join(work, 'old');
  await mkdir(sources, { recursive: true });
  await run('sh', ['-c', `git archive ${commit} | tar -x -C ${JSON.stringify(sources)}`], { cwd: clone });
  // The packages of then are those of now: package-lock.json pins the same versions.
  await symlink(join(clone, 'node_modules'), join(sources, 'node_modules'));
  // What the chart's hook Jobs run: the services of then set up topics and tables themselves.
  // Traces came later as well.
  for (const file of ['jobs/setup.ts', 'jobs/helm-test.ts', 'lib/ops/tracing/otlp.ts']) {
    await mkdir(join(sources, dirname(file)), { recursive: true });
    await writeFile(join(sources, file), "console.error('nothing to do');\n");
  }
  for (const page of ['console', 'graphiql']) {
    await mkdir(join(sources, 'web', page), { recursive: true });
    await writeFile(join(sources, 'web', page, 'index.html'), '<!doctype html><title>none</title>\n');
  }
  await makeRoot(root, sources);
  // The router of then serves the page from where it stood in the sources.
  await cp(join(sources, 'web'), join(root, 'app/web'), { recursive: true });
  const known = await variablesOf(sources);
  for (const service of ['gateway', 'router', 'command-handler', 'projector']) {
    const folder = join(root, 'app/services', service);
    await rename(join(folder, 'main.js'), join(folder, 'service.js'));
    await writeFile(join(folder, 'main.js'), `const known = ${JSON.stringify(known)};\n${translate}`);
  }
  await writePenstock({ root, archive: join(to, 'penstock-old.tar'), name: `${imageNames.penstock}:old` });
  await rm(root, { recursive: true });
}

/** Whether this clone has the commit: one that was made without history does not. */
export function hasOldCommit(): Promise<boolean> {
  const isThere = run('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: clone });
  return isThere.then(
    () => true,
    () => false,
  );
}

const translate = `import { existsSync, readFileSync } from 'node:fs';
for (const [name, value] of Object.entries(process.env)) {
  if (!name.startsWith('PENSTOCK_') || known.includes(name)) continue;
  delete process.env[name];
  const target = name.replace(/_FILE$/, '');
  const path = value.replace(/^-/, '');
  if (target === name || !known.includes(target) || !existsSync(path)) console.error('left out: ' + name);
  else process.env[target] = readFileSync(path, 'utf8').trim();
}
await import('./service.js');
`;

async function variablesOf(sources: string): Promise<string[]> {
  const file = join(sources, 'lib/ops/index.ts');
  if (!existsSync(file)) throw new Error(`${commit} has no ${file}`);
  const { catalogue } = (await import(pathToFileURL(file).href)) as {
    catalogue: Record<string, Record<string, { name?: string }>>;
  };
  const config = (await import(pathToFileURL(join(sources, 'lib/ops/config.ts')).href)) as {
    variablesOf(given: typeof catalogue): { name: string }[];
  };
  return config.variablesOf(catalogue).map(({ name }) => name);
}
