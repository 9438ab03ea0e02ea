/**
 * What `npm start`, `npm test` and the other scripts run: does all set-up, then hands over to the pinned Node.
 * Plain JavaScript without dependencies, for the machine's own Node. Arguments: the script, relative to dev/, and its
 * arguments.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tryLock } from './lock.mjs';
import { javaProblem, mavenProblem, nodeProblem } from './requirements.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const pinnedNode = join(root, 'node_modules/.bin/node');
const [script = '', ...args] = process.argv.slice(2);
const needsServers = ['start.ts', '../test/run.ts'].includes(script);

const installArguments = [
  ...['install', '--no-save', '--include=dev', '--include=optional', '--no-audit', '--no-fund'],
  '--ignore-scripts', // no package needs one: PostgreSQL's links are made when it is started
  '--loglevel=error', // npm runs under the machine's Node, which some packages do not support; the pinned one they do
];

/** @type {import('node:child_process').ChildProcess | undefined} */
let child;
let stopping = false;
for (const name of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(name, stop);
watchNpm();

const problem = nodeProblem();
if (problem) fail(problem);
await installPackages();
if (!existsSync(pinnedNode)) fail(`no Node 24 is packaged for ${process.platform}-${process.arch}`);
// Types are stripped and sources compiled once, not by each of the processes that are about to be started.
process.env.NODE_COMPILE_CACHE ??= join(root, 'node_modules/.cache/compiled');
process.exit(await run(pinnedNode, [resolve(here, script), ...args], ['inherit', 'inherit', 'inherit', 'ipc']));

/** Asks the child to stop, once: a terminal's Ctrl-C has reached it too, and npm forwards a second one to us. */
function stop() {
  if (stopping) return;
  stopping = true;
  child?.kill('SIGTERM');
}

/** npm killed outright cannot forward anything: its death is seen by this process getting another parent. */
function watchNpm() {
  if (process.env.npm_lifecycle_event === undefined) return;
  const npm = process.ppid;
  setInterval(() => process.ppid === npm || stop(), 1_000).unref();
}

/** @param {string} command @param {string[]} args @param {import('node:child_process').StdioOptions} stdio @returns {Promise<number>} its exit code */
async function run(command, args, stdio) {
  if (stopping) process.exit(0);
  child = spawn(command, args, { stdio, cwd: root });
  const code = await new Promise((resolve, reject) => {
    child?.once('error', reject);
    child?.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 1)));
  }).catch(error => fail(error.message));
  child = undefined;
  return code;
}

/**
 * `npm install`, where the packages are not there or not those of the lock file. Not `npm ci`: it refuses a lock file
 * without the packages of other platforms, and not every registry carries them all. Versions and hashes come from the
 * lock file all the same, and nothing is written back to it.
 */
async function installPackages() {
  if (installed()) return;
  const missing = needsServers ? (javaProblem() ?? mavenProblem()) : undefined;
  if (missing) fail(missing); // told now rather than after the download
  mkdirSync(join(root, '.penstock-setup'), { recursive: true });
  const lock = await waitForLock(join(root, '.penstock-setup/lock'));
  try {
    if (installed()) return; // another start has done it meanwhile
    const started = Date.now();
    console.error('installing npm packages (first start, or package-lock.json has changed; about 290 MB)');
    const [command, first] = npm();
    const progress = setInterval(() => console.error(installProgress(started)), 3_000);
    const code = await run(command, [...first, ...installArguments], ['ignore', 2, 2]);
    clearInterval(progress);
    if (stopping) process.exit(0);
    if (code !== 0) fail(`npm install failed with code ${code}`);
    if (!installed()) fail('npm install did not install what package-lock.json names');
    console.error(`npm packages installed in ${Math.round((Date.now() - started) / 1000)} s`);
  } finally {
    lock.release();
  }
}

/** The npm that runs us, with the Node that runs it: the pinned one is about to be replaced. @returns {[string, string[]]} */
function npm() {
  const { npm_node_execpath: node, npm_execpath: cli } = process.env;
  return node && cli && existsSync(node) && existsSync(cli) ? [node, [cli]] : ['npm', []];
}

/** Whether node_modules holds exactly the versions of the lock file: npm writes its own record at the very end. */
function installed() {
  try {
    const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
    const present = JSON.parse(readFileSync(join(root, 'node_modules/.package-lock.json'), 'utf8')).packages;
    return Object.entries(wanted).every(([path, { version, optional, os, cpu, libc }]) => {
      if (path === '') return true;
      if (present[path]) return present[path].version === version && existsSync(join(root, path, 'package.json'));
      const forUs = (os || cpu) && !libc && fits(os, process.platform) && fits(cpu, process.arch);
      return optional && !forUs; // what only another platform's package needs is optional too, without saying why
    });
  } catch {
    return false;
  }
}

/** How many packages have been unpacked by now: npm itself says nothing unless its output is a terminal. @param {number} started */
function installProgress(started) {
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const paths = Object.keys(wanted).filter(path => path !== '');
  const present = paths.filter(path => existsSync(join(root, path, 'package.json'))).length;
  return `  ${present} of up to ${paths.length} packages in ${Math.round((Date.now() - started) / 1000)} s …`;
}

/** @param {string | string[] | undefined} allowed @param {string} actual */
function fits(allowed, actual) {
  return allowed === undefined || [allowed].flat().includes(actual);
}

/** @param {string} path */
async function waitForLock(path) {
  for (let told = false; ; told = true) {
    const lock = tryLock(path);
    if ('release' in lock) return lock;
    if (stopping) process.exit(0);
    if (!told) console.error(`waiting for process ${lock.holder}, which is installing npm packages`);
    await new Promise(resolve => setTimeout(resolve, 250));
  }
}

/** @param {string} line @returns {never} */
function fail(line) {
  console.error(line);
  process.exit(1);
}
