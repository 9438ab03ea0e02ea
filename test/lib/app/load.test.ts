import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadApp, loadCommands, SchemaError } from '../../../lib/app/index.ts';

const folder = await mkdtemp(join(tmpdir(), 'penstock-app-'));
after(() => rm(folder, { recursive: true }));

async function app(name: string, files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const at = await mkdtemp(join(folder, `${name}-`));
  for (const [file, content] of Object.entries(files)) await writeFile(join(at, file), content);
  return at;
}

test('a schema comes from a file, from a folder, or as text', async () => {
  const body = 'type Query { _: Boolean }';
  const at = await app('schema', { 'schema.graphql': body });
  for (const source of [at, join(at, 'schema.graphql'), body]) {
    assert.equal((await loadApp(source)).schema.getQueryType()?.name, 'Query');
  }
});

test("problems name the file as it was given, and a schema from the environment by the variable's name", async () => {
  const at = await app('bad', { 'schema.graphql': 'type Query {\n  a: Zebra\n}' });
  const file = join(at, 'schema.graphql');
  const lines = [
    '2:3: a has no directive that says where its result comes from: add @view',
    '2:6: Unknown type "Zebra".',
  ];
  await assert.rejects(loadApp(at), { name: 'SchemaError', message: lines.map(line => `${file}:${line}`).join('\n') });
  await assert.rejects(loadApp('type Query {\n  a: Zebra\n}'), {
    message: lines.map(line => `PENSTOCK_SCHEMA:${line}`).join('\n'),
  });
});

test("a file that can't be read or isn't UTF-8 is a problem like any other", async () => {
  const at = await app('bytes', { 'schema.graphql': Buffer.from([0x74, 0xff]) });
  for (const source of [join(folder, 'missing.graphql'), at]) {
    await assert.rejects(loadApp(source), (error: unknown) => {
      assert.ok(error instanceof SchemaError);
      assert.match(error.message, /\.graphql:1:1: the schema can't be read: /);
      return true;
    });
  }
});

test('a byte order mark before the schema does no harm', async () => {
  const at = await app('bom', { 'schema.graphql': '\uFEFFtype Query { _: Boolean }' });
  await loadApp(at);
});

const whole = `{
  name: 'mine', migrations: ['CREATE TABLE x ()'], load: async () => 1, save: async () => {}, reject: () => ({}),
  decide() { return this.name; },
}`;

test("an app's decisions are its default export, as it stands", async () => {
  const at = await app('whole', { 'commands.ts': `export default ${whole};` });
  const commands = await loadCommands(at);
  assert.deepEqual(commands.migrations, ['CREATE TABLE x ()']);
  assert.equal(Reflect.apply(commands.decide, commands, []), 'mine');
});

test('decisions that lack something, or are none, are refused with all that is wrong', async () => {
  const part = await app('part', { 'commands.ts': "export default { migrations: 'CREATE', load: () => 1, save: 5 };" });
  await assert.rejects(loadCommands(part), {
    message: `${join(part, 'commands.ts')}: its default export is no CommandApp: migrations must be a list of SQL statements; decide must be a function; save must be a function; reject must be a function`,
  });
  const none = await app('none', { 'commands.ts': 'export const decide = 1;' });
  await assert.rejects(loadCommands(none), { message: /: its default export is no CommandApp: no default export$/ });
  const broken = await app('broken', { 'commands.ts': 'export default {' });
  await assert.rejects(loadCommands(broken), { message: /commands\.ts: can't be loaded: / });
  const throwing = await app('throwing', { 'commands.ts': "throw new Error('at import');" });
  await assert.rejects(loadCommands(throwing), { message: /commands\.ts: can't be loaded: at import$/ });
});

test('an app without decisions says so', async () => {
  const at = await app('empty', {});
  await assert.rejects(loadCommands(at), { message: /commands\.ts: can't be loaded: / });
});
