import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { openBank } from '../client/bank.ts';
import { codeBlocks } from '../docs/code-blocks.ts';
import {
  accessibilityViolations,
  openBrowser,
  screenshot,
  type TestBrowser,
  withoutChromium,
} from '../support/browser/index.ts';
import { dieWithUs } from '../support/die-with-us.ts';
import { freePort } from '../support/free-ports.ts';
import { root } from '../support/mutate.ts';
import { sharedStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

/**
 * The page of docs/clients/README.md, made as it says there from the package as `npm pack` makes it: what the document shows is what runs.
 */
const run = promisify(execFile);
const skip = withoutChromium;
const vite = join(root, 'node_modules/vite/bin/vite.js');
/** `node` and `npm` as the machine has them, which may be older than what runs the services. */
const path = (process.env.PATH ?? '').split(delimiter).filter(folder => !folder.includes('node_modules'));
const env = { ...process.env, PATH: path.join(delimiter) };
/** As Vite's template has it. */
const reactEntry = `import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import App from './App.tsx';
createRoot(document.getElementById('root')!).render(<StrictMode><App /></StrictMode>);
`;

let work: string;
let project: string;
let routerUrl: string;
let browser: TestBrowser;
let server: ChildProcess | undefined;

before(async () => {
  routerUrl = (await sharedStack()).url;
  work = await mkdtemp(join(tmpdir(), 'penstock-tutorial-'));
  project = join(work, 'my-bank');
  const tarball = await pack();
  await write('package.json', JSON.stringify({ name: 'my-bank', private: true, type: 'module' }));
  const { devDependencies, dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const others = ['react', 'react-dom'].map(name => `${name}@${devDependencies[name]}`);
  const args = ['install', '--prefer-offline', tarball, `graphql@${dependencies.graphql}`, ...others];
  await run('npm', args, { cwd: project, env });
  // Not under test, and large.
  for (const name of ['vite', '@types'])
    await symlink(join(root, 'node_modules', name), join(project, 'node_modules', name));
  for (const { file, code } of codeBlocks(await readFile(join(root, 'docs/clients/README.md'), 'utf8'))) {
    await write(file, code.replaceAll('http://127.0.0.1:8080', routerUrl));
  }
  await write('src/main.tsx', reactEntry);
});

before(async () => {
  if (!skip) browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await stopServing();
  await rm(work, { recursive: true, force: true });
});

/** Packs a copy: packing puts another package.json in place for a moment, not where others read it. */
async function pack(): Promise<string> {
  const copy = join(work, 'penstock');
  for (const name of ['client', 'tsconfig.json', 'LICENSE', 'package.json']) {
    await cp(join(root, name), join(copy, name), { recursive: true, filter: from => !from.includes('/dist') });
  }
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  const { stdout } = await run('npm', ['pack', '--json', '--workspace', 'client', '--pack-destination', work], {
    cwd: copy,
    env,
  });
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('[')));
  return join(work, filename);
}

async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(join(project, file)), { recursive: true });
  await writeFile(join(project, file), text);
}

/** Vite serves one page of a project at a time. */
async function stopServing(): Promise<void> {
  if (server?.kill()) await once(server, 'exit');
  server = undefined;
}

/** Builds the page, and serves it with the proxy that the document configures. */
async function serve(entry: string): Promise<string> {
  await stopServing();
  await write(
    'index.html',
    `<!doctype html><html lang="en"><head><title>My bank</title><link rel="icon" href="data:,"></head>
    <body><div id="root"></div><script type="module" src="/${entry}"></script></body></html>`,
  );
  const outDir = `dist-${entry.replaceAll(/\W/g, '-')}`;
  await run(process.execPath, [vite, 'build', '--outDir', outDir], { cwd: project });
  const port = await freePort();
  const args = [vite, 'preview', '--outDir', outDir, '--port', String(port), '--strictPort', '--host', '127.0.0.1'];
  server = dieWithUs(spawn(process.execPath, args, { cwd: project, stdio: 'inherit' }));
  const url = `http://127.0.0.1:${port}`;
  await until('the page is served', async () => (await fetch(url).catch(() => undefined))?.ok);
  return url;
}

test('the package runs in plain Node, over server-sent events where there is no WebSocket', async () => {
  const user = `user-${randomUUID()}`;
  const other = await openBank(routerUrl, user);
  await other.pay(7);
  const child = dieWithUs(spawn('node', ['main.js', routerUrl, user, `${user}-password`], { cwd: project, env }));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', text => (said += text));
  const says = (line: string) =>
    until(
      () => `${line}: it says ${said}`,
      () => said.includes(line),
    );
  await says('{"changedBy":7,"newBalance":7,"replayed":true}');
  await other.pay(8);
  await says('{"changedBy":8,"newBalance":15,"replayed":false}');
  child.kill();
  other.close();
});

test("the document's code fits TypeScript as strict as Vite's templates set it", async () => {
  const compilerOptions = {
    ...{ noEmit: true, strict: true, noUnusedLocals: true, noUnusedParameters: true, erasableSyntaxOnly: true },
    ...{
      verbatimModuleSyntax: true,
      allowImportingTsExtensions: true,
      skipLibCheck: true,
      jsx: 'react-jsx',
      types: [],
    },
    ...{ target: 'es2023', module: 'esnext', moduleResolution: 'bundler', lib: ['es2023', 'dom', 'dom.iterable'] },
  };
  await write('tsconfig.json', JSON.stringify({ compilerOptions, files: ['src/main.ts', 'src/App.tsx'] }));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { stdout } = await run(process.execPath, [tsc, '-p', project]).catch(error => error);
  assert.equal(stdout, '');
});

for (const entry of ['src/main.ts', 'src/main.tsx']) {
  test(`the page of the document works as it is built from ${entry}`, { skip }, async () => {
    const url = await serve(entry);
    const opened = await browser.open(url);
    const { page } = opened;
    const user = `user-${randomUUID()}`;
    await page.getByLabel('Username').fill(user);
    await page.getByLabel('Password').fill(`${user}-password`);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.locator('#connection', { hasText: 'live' }).waitFor();
    await page.getByRole('button', { name: 'Pay in' }).click();
    const rows = page.getByRole('list', { name: 'Transactions' }).getByRole('listitem');
    await rows.first().waitFor();
    await page.getByRole('status').filter({ hasText: 'Paid in' }).waitFor();
    const other = await openBank(routerUrl, user);
    await other.pay(250);
    await rows.nth(1).waitFor();
    assert.deepEqual(await rows.allTextContents(), ['€2.50 (test)', '€10.00 (from my page)']);
    assert.equal(await page.locator('#balance').textContent(), '€12.50');
    assert.deepEqual(await accessibilityViolations(page), []);
    await screenshot(page, `tutorial-${entry.replaceAll(/\W/g, '-')}`);
    await page.reload();
    await rows.nth(1).waitFor();
    assert.equal(await rows.count(), 2);
    opened.assertClean();
    other.close();
  });
}
