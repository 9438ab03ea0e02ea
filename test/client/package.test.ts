import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { root } from '../support/mutate.ts';

const run = promisify(execFile);
/** A project of somebody else, with the package as `npm pack` makes it. */
let project: string;
let files: string[];

before(async () => {
  project = await mkdtemp(join(tmpdir(), 'penstock-client-'));
  // Packing puts another package.json in place for a moment: not where others read it.
  const repository = join(project, 'repository');
  for (const name of ['client', 'tsconfig.json', 'LICENSE']) {
    await cp(join(root, name), join(repository, name), { recursive: true, filter: path => !path.includes('/dist') });
  }
  await symlink(join(root, 'node_modules'), join(repository, 'node_modules'));
  const source = join(repository, 'client');
  const manifest = await readFile(join(source, 'package.json'), 'utf8');
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', project], { cwd: source });
  assert.equal(await readFile(join(source, 'package.json'), 'utf8'), manifest, 'it is as it was');
  const [{ filename, files: packed }] = JSON.parse(stdout.slice(stdout.indexOf('[')));
  files = packed.map(({ path }: { path: string }) => path);
  await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'project', type: 'module', private: true }));
  // Its dependencies are here already: nothing is fetched.
  const target = join(project, 'node_modules/@penstock/client');
  await mkdir(target, { recursive: true });
  await run('tar', ['-xzf', join(project, filename), '-C', target, '--strip-components=1']);
  for (const name of ['graphql-ws', 'graphql', 'react', '@types']) {
    await symlink(join(root, 'node_modules', name), join(project, 'node_modules', name));
  }
});

after(() => rm(project, { recursive: true, force: true }));

test('the package holds JavaScript, declarations and the licence, and depends on graphql-ws alone', async () => {
  assert.deepEqual(
    files.filter(file => !/^dist\/[\w-]+\.(js|d\.ts)$/.test(file)),
    ['LICENSE', 'README.md', 'package.json'],
  );
  const manifest = JSON.parse(await readFile(join(project, 'node_modules/@penstock/client/package.json'), 'utf8'));
  assert.deepEqual(Object.keys(manifest.dependencies), ['graphql-ws']);
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  assert.equal(manifest.dependencies['graphql-ws'], dependencies['graphql-ws']);
  assert.ok(!('scripts' in manifest));
});

test('beside graphql-ws it has at most 6 KB, minified and compressed', async () => {
  const { outputFiles } = await build({
    stdin: { contents: "export * from '@penstock/client'", resolveDir: project },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    external: ['graphql-ws', 'graphql-ws/client'],
    write: false,
  });
  const bytes = gzipSync(outputFiles[0]?.contents ?? '').length;
  assert.ok(bytes <= 6 * 1_024, `${bytes} bytes`);
});

const program = `
  import { createClient, UnauthorizedError } from '@penstock/client';
  import { createStore } from '@penstock/client/store';
  import { useLive } from '@penstock/client/react';
  const client = createClient({
    url: 'http://127.0.0.1:1',
    async getToken(): Promise<string> {
      throw new UnauthorizedError('log in');
    },
  });
  const store = createStore(
    () => client.subscribe<{ n: number }>({ query: 'subscription { n }' }),
    (sum: number | undefined, { data }) => (sum ?? 0) + data.n,
  );
  store.subscribe(() => console.log(typeof useLive, client.state.status, String(store.getSnapshot().error)));
`;

test('it runs in plain Node', async () => {
  // The machine's own, which may be older than that of the services.
  const path = (process.env.PATH ?? '').split(':').filter(folder => !folder.includes('node_modules'));
  const javascript = (await build({ stdin: { contents: program, loader: 'ts' }, write: false })).outputFiles[0];
  await writeFile(join(project, 'main.js'), javascript?.contents ?? '');
  const { stdout } = await run('node', ['main.js'], { cwd: project, env: { ...process.env, PATH: path.join(':') } });
  assert.equal(stdout, 'function needs-auth UnauthorizedError: log in\n');
});

test('its declarations fit TypeScript as strict as it can be, for browsers alone', async () => {
  await writeFile(join(project, 'main.ts'), program);
  const compilerOptions = {
    ...{ noEmit: true, strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, types: [] },
    ...{ target: 'es2022', module: 'esnext', moduleResolution: 'bundler', lib: ['es2023', 'dom'] },
  };
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['main.ts'] }));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { stdout } = await run(process.execPath, [tsc, '-p', project]).catch(error => error);
  assert.equal(stdout, '');
});
