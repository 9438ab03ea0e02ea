import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';

/**
 * Which rooms a room may enter: `jobs → services → lib → nothing of ours`, `apps → lib/app` only, and inside lib only downwards.
 */
const root = join(import.meta.dirname, '..');
const floors: Readonly<Record<string, number>> = {
  'lib/errors.ts': 0,
  'lib/ops': 1,
  'lib/kafka': 2,
  'lib/postgres': 2,
  'lib/redis': 2,
  'lib/auth': 2,
  'lib/app': 3,
  'lib/ownership': 4,
  'lib/replay': 4,
  'lib/views': 5,
  'lib/fleet': 5,
};

interface Import {
  from: string;
  to: string;
  line: string;
}

function roomOf(path: string): string {
  const parts = path.split('/');
  if (parts[0] === 'lib' && parts.length === 2) return path;
  return ['lib', 'services', 'apps', 'examples', 'web'].includes(parts[0] ?? '')
    ? parts.slice(0, 2).join('/')
    : (parts[0] ?? '');
}

function imports(): Import[] {
  return globSync(['{jobs,lib,services,apps,examples,client,web}/**/*.{ts,tsx}'], {
    cwd: root,
    exclude: name => name === 'node_modules' || name === 'dist',
  }).flatMap(from =>
    [
      ...readFileSync(join(root, from), 'utf8').matchAll(
        /^(?:import|export)[^;]*?from '([^']+)'|import\('([^']+)'\)/gms,
      ),
    ].map(match => {
      const target = match[1] ?? match[2] ?? '';
      const to = target.startsWith('.') ? relative(root, join(root, dirname(from), target)) : target;
      return { from, to, line: `${from} → ${to}` };
    }),
  );
}

function mayEnter({ from, to }: Import): boolean {
  const [here, there] = [roomOf(from), roomOf(to)];
  if (here === there || to === 'package.json') return true;
  if (from.startsWith('lib/')) return to.startsWith('lib/') && (floors[there] ?? 99) <= (floors[here] ?? -1);
  if (from.startsWith('services/')) return to.startsWith('lib/');
  if (from.startsWith('client/')) return false;
  // `web/build.ts` and its like are run by Node; they read the schemas that pages speak to, the built-in one as well.
  if (from.startsWith('web/') && from.split('/').length > 2) return there === 'web/shared';
  if (from.startsWith('web/')) return to.startsWith('lib/app/') || to === 'services/gateway/console/schema.ts';
  if (from.startsWith('jobs/')) return to.startsWith('lib/') || to.startsWith('services/');
  return there === 'lib/app';
}

const ours = imports();
const internal = ours.filter(
  ({ to }) => /^(jobs|lib|services|apps|examples|client|web|dev|test|bench|docs)\//.test(to) || to === 'package.json',
);

test('there are imports to check', () => assert.ok(internal.length > 10));

test('imports go one way: jobs → services → lib → nothing of ours, apps → lib/app, pages → web/shared, and downwards inside lib', () => {
  assert.deepEqual(
    internal.filter(found => !mayEnter(found)).map(({ line }) => line),
    [],
  );
});

test('nothing but lib/kafka knows kafkajs', () => {
  assert.deepEqual(
    ours.filter(({ from, to }) => /^kafkajs(\/|$)/.test(to) && !from.startsWith('lib/kafka/')).map(({ line }) => line),
    [],
  );
});

test('the client depends on nothing but graphql-ws, and react in its hooks', () => {
  assert.deepEqual(
    new Set(
      ours
        .filter(({ from, to }) => from.startsWith('client/src/') && !to.startsWith('client/'))
        .map(({ line }) => line),
    ),
    new Set(['client/src/react.ts → react', 'client/src/socket-line.ts → graphql-ws/client']),
  );
});

test('nothing in lib or services knows the bank', () => {
  const words = /\b(iban|openAccount|transferMoney|balance)\b|apps\/bank/i;
  const found = globSync(['{lib,services,client/src}/**/*.ts'], { cwd: root }).filter(file =>
    words.test(readFileSync(join(root, file), 'utf8')),
  );
  assert.deepEqual(found, []);
});

test('every transaction names its isolation level, whatever the database has as its default', () => {
  const found = globSync(['{jobs,lib,services,apps,examples,dev}/**/*.{ts,mjs}'], { cwd: root })
    .filter(file => !file.includes('node_modules'))
    .flatMap(file =>
      [
        ...readFileSync(join(root, file), 'utf8').matchAll(
          /(?<!\$\$ )\b(?:BEGIN|START TRANSACTION)\b(?! ISOLATION LEVEL | CERTIFICATE-)/g,
        ),
      ].map(({ index }) => `${file} at ${index}`),
    );
  assert.deepEqual(found, []);
});

test('the linter refuses a call whose arguments are the elements of an array', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-lint-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'biome.json'), JSON.stringify({ plugins: [join(root, 'dev/check/spread.grit')] }));
  const refused = ['a.push(...b)', 'a.push(0, ...b)', 'a.unshift(...b.c())', 'a.splice(0, 1, ...b)', 'Math.max(...b)'];
  const accepted = ['a.push({ ...b })', 'a.push([...b])', 'Math.max(a, b)'];
  const lines = [...refused, ...accepted].map(call => `${call};\n`);
  await writeFile(join(folder, 'calls.ts'), lines.join(''));
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
  const { stdout, stderr } = spawnSync(process.execPath, [biome, 'lint', '.'], { cwd: folder, encoding: 'utf8' });
  const found = [...(stdout + stderr).matchAll(/calls\.ts:(\d+):\d+ plugin/g)].map(([, line]) => Number(line));
  assert.deepEqual(
    found.sort((x, y) => x - y),
    refused.map((_, index) => index + 1),
  );
});
