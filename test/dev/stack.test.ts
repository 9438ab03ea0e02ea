import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import pg from 'pg';
import { isAlive, type Registered, readRegister } from '../../dev/processes/register.ts';
import { filesOf, readSettings } from '../../dev/stack/folder.ts';
import { openPorts } from '../../dev/stack/ports.ts';
import { type Command, npmStart, runCommand } from '../support/npm-start.ts';
import { attachStack, newFolder, type Stack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const folder = newFolder();
const files = filesOf(folder);
let port: number;
let npm: Command;
let stack: Stack;

/** Everything that runs in the folder now, and the supervisor and its guard by way of their common ancestor. */
function registered(): readonly Registered[] {
  return readRegister(files.register)?.processes ?? [];
}

async function start(...more: string[]): Promise<void> {
  npm = npmStart(['--folder', folder, '--port', String(port), ...more]);
  await npm.line(/^ready /);
  stack = attachStack(folder);
}

async function bodyOf(url: string): Promise<{ status: number; text: string }> {
  const response = await fetch(url);
  return { status: response.status, text: await response.text() };
}

before(async () => {
  port = await openPorts({}, []).take('public');
});

after(async () => {
  if (npm?.child.exitCode === null) npm.child.kill('SIGTERM');
  await npm?.exited;
  rmSync(folder, { recursive: true, force: true });
});

test('npm start ends its start-up with the ready line, and then the stack answers', async () => {
  await start('--partitions', '6');
  assert.equal(npm.stdout().trimEnd().split('\n').at(-1), `ready http://127.0.0.1:${port}`);
  assert.equal((await bodyOf(`${stack.url}/.well-known/jwks.json`)).status, 200);
});

test('the start-up names the pages before that line, and they are there', async () => {
  const pages = [...npm.stdout().matchAll(/^ {2}(bank|console|GraphiQL) +(http:\S+)/gm)];
  const titles = pages.map(async ([, name, url = '']) => [
    name,
    /<title>(.*)<\/title>/.exec((await bodyOf(url)).text)?.[1],
  ]);
  assert.deepEqual(await Promise.all(titles), [
    ['bank', 'Penstock Bank'],
    ['console', 'Penstock Console'],
    ['GraphiQL', 'Penstock GraphiQL'],
  ]);
});

test('stack.json names every process with its addresses, and where the servers are', async () => {
  const { url, processes, kafka, redis, postgres, ...rest } = JSON.parse(readFileSync(files.stack, 'utf8'));
  assert.deepEqual(rest, {});
  assert.equal(url, `http://127.0.0.1:${port}`);
  const named = processes.map(({ name, service }: { name: string; service: string }) => `${name} ${service}`);
  assert.deepEqual(named, [
    'command-handler-0 command-handler',
    'gateway-0 gateway',
    'gateway-1 gateway',
    'projector-0 projector',
    'router-0 router',
  ]);
  for (const process of processes) {
    assert.deepEqual(Object.keys(process).sort(), ['admin', 'name', 'pid', 'service', 'url']);
    assert.equal((await bodyOf(`${process.admin}/readyz`)).status, 200);
    await fetch(process.url);
    assert.match((await bodyOf(`${process.admin}/metrics`)).text, /^penstock_build_info/m);
  }
  assert.match(kafka.join(), /^127\.0\.0\.1:\d+$/);
  assert.match(redis, /^redis:\/\/127\.0\.0\.1:\d+$/);
  assert.match(postgres, /^postgres:\/\/postgres@127\.0\.0\.1:\d+\/penstock$/);
});

test('each process logs to a file of its own, one JSON object a line', () => {
  for (const { name, service, pid } of stack.processes()) {
    for (const line of readFileSync(files.log(name), 'utf8').trimEnd().split('\n')) {
      const entry = JSON.parse(line);
      assert.equal(entry.service, service);
      assert.equal(entry.pid, pid);
    }
  }
});

test('a second start on the same folder is refused in one line', async () => {
  const second = npmStart(['--folder', folder, '--port', String(port)]);
  assert.equal(await second.exited, 1);
  assert.match(second.stderr(), new RegExp(`^a stack already runs in ${folder} \\(process \\d+\\)$`, 'm'));
  assert.equal((await bodyOf(`${stack.url}/.well-known/jwks.json`)).status, 200);
});

test('a process that dies is started again under a new pid, at the same addresses', async () => {
  const before = stack.process('gateway-1');
  stack.kill('gateway-1');
  await until('gateway-1 has left stack.json', () => !stack.processes().some(({ pid }) => pid === before.pid));
  const again = await until('gateway-1 is back', () => stack.processes().find(({ name }) => name === 'gateway-1'));
  assert.notEqual(again.pid, before.pid);
  assert.deepEqual({ ...again, pid: 0 }, { ...before, pid: 0 });
  assert.match(npm.stderr(), /^gateway-1 ended by SIGKILL; starting it again in 1000 ms$/m);
});

test('a server that dies is started again, and so is the only router', async () => {
  for (const name of ['redis', 'postgres', 'router-0']) {
    const pid = stack.kill(name);
    await until(`${name} runs under a new pid`, () => ![pid, undefined].includes(stack.pid(name)));
  }
  await until('the router answers', async () => {
    return fetch(`${stack.url}/.well-known/jwks.json`).then(
      answer => answer.ok,
      () => false,
    );
  });
});

test('a name in the down file does not end the process, keeps it dead once it has died, and comes back without it', async () => {
  writeFileSync(files.down, 'projector-0\n');
  const { pid } = stack.process('projector-0');
  const other = stack.kill('gateway-0'); // when this one is back, more than the restart delay has passed
  await until('gateway-0 is back', () => ![other, undefined].includes(stack.pid('gateway-0')));
  assert.equal(stack.pid('projector-0'), pid);

  stack.kill('projector-0');
  await until('the projector is dead', () => stack.pid('projector-0') === undefined);
  const another = stack.kill('gateway-0');
  await until('gateway-0 is back', () => ![another, undefined].includes(stack.pid('gateway-0')));
  assert.equal(stack.pid('projector-0'), undefined);
  assert.ok(!stack.processes().some(({ name }) => name === 'projector-0'));

  await stack.up('projector-0');
  await until('the projector is up', () => stack.processes().some(({ name }) => name === 'projector-0'));
});

test('scale changes the number of processes while the stack runs, and says what came of it', async () => {
  const scale = async (...args: string[]) => {
    const command = runCommand('npm', ['run', 'scale', '--', '--folder', folder, ...args]);
    const code = await command.exited;
    return { code, stdout: command.stdout(), stderr: command.stderr() };
  };
  const up = await scale('gateway=3', 'command-handler=2');
  assert.equal(up.code, 0, up.stderr);
  assert.match(
    up.stdout,
    /^gateway=3\n {2}gateway-0 http:.*\n.*\n {2}gateway-2 http:.* \(pid \d+\)\ncommand-handler=2$/m,
  );
  const removed = stack.process('gateway-2');

  const down = await scale('gateway=2', 'command-handler=1');
  assert.equal(down.code, 0, down.stderr);
  assert.ok(!registered().some(({ pid }) => pid === removed.pid));
  assert.match(readFileSync(files.log('gateway-2'), 'utf8'), /"signal":"SIGTERM"/);
  assert.deepEqual(
    stack
      .processes()
      .map(({ name }) => name)
      .filter(name => /gateway|handler/.test(name)),
    ['command-handler-0', 'gateway-0', 'gateway-1'],
  );
  assert.equal((await scale('gateway=x')).code, 1);
});

test('SIGTERM to npm alone ends everything within 30 s, with exit code 0', async () => {
  const redis = new Redis(stack.redis);
  const postgres = new pg.Client(stack.postgres);
  await postgres.connect();
  await redis.set('kept', 'yes');
  await postgres.query("create table kept as select 'yes' as answer");
  redis.disconnect();
  await postgres.end();

  const everything = registered();
  assert.equal(everything.length, 8);
  const started = performance.now();
  npm.child.kill('SIGTERM');
  assert.equal(await npm.exited, 0, npm.stderr());
  assert.ok(performance.now() - started < 30_000);
  assert.deepEqual(everything.filter(isAlive), []);
  assert.equal(readRegister(files.register)?.processes.length, 0);
  assert.throws(() => readFileSync(files.stack), { code: 'ENOENT' });
});

test('the data survives; Ctrl-C, which reaches every process of the terminal, ends everything in order', async () => {
  const { clusterId } = readSettings(folder) ?? {};
  await start();
  assert.equal(stack.partitions, 6);
  assert.equal(readSettings(folder)?.clusterId, clusterId);
  const redis = new Redis(stack.redis);
  const postgres = new pg.Client(stack.postgres);
  await postgres.connect();
  assert.equal(await redis.get('kept'), 'yes');
  assert.deepEqual((await postgres.query('select answer from kept')).rows, [{ answer: 'yes' }]);
  redis.disconnect();
  await postgres.end();

  const everything = registered();
  process.kill(-(npm.child.pid ?? 0), 'SIGINT');
  assert.equal(await npm.exited, 0, npm.stderr());
  assert.deepEqual(everything.filter(isAlive), []);
  for (const name of ['gateway-0', 'command-handler-0']) {
    assert.match(readFileSync(files.log(name), 'utf8'), /"event":"drain_finished"/);
  }
});

test('other brokers or partitions than the data was made with are refused', async () => {
  const refused = npmStart(['--folder', folder, '--port', String(port), '--partitions', '7']);
  assert.equal(await refused.exited, 1);
  assert.match(refused.stderr(), /^the data in this folder was made with --partitions 6: .*--fresh.*$/m);
});

test('--fresh empties the folder; nothing survives a supervisor that is killed outright', async () => {
  const { clusterId } = readSettings(folder) ?? {};
  npm = npmStart(['--folder', folder, '--port', String(port), '--fresh', '--gateways', '1']);
  await npm.line(/^ready /);
  assert.notEqual(readSettings(folder)?.clusterId, clusterId);
  assert.equal(readSettings(folder)?.partitions, 24);

  const everything = registered();
  assert.equal(everything.length, 7);
  process.kill(-(npm.child.pid ?? 0), 'SIGKILL'); // npm, bootstrap and supervisor
  await until('every process has ended', () => everything.every(process => !isAlive(process)), 30_000);
});

test('a port in use is one line and exit code 1', async () => {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  const refused = npmStart(['--folder', folder, '--port', String(port)]);
  assert.equal(await refused.exited, 1);
  assert.match(refused.stderr(), new RegExp(`^port ${port} is in use$`, 'm'));
  server.close();
});

test('servers that the user has are not started; a service that refuses to start is one line', async () => {
  const given = {
    PENSTOCK_KAFKA_BROKERS: '127.0.0.1:1',
    PENSTOCK_REDIS_URL: 'redis://127.0.0.1:1',
    PENSTOCK_POSTGRES_URL: 'postgres://127.0.0.1:1/x',
    PENSTOCK_KAFKA_PARTITIONS: 'many',
  };
  const refused = npmStart(['--folder', folder, '--port', String(port)], given);
  assert.equal(await refused.exited, 1);
  assert.match(refused.stderr(), /^starting no servers$/m);
  assert.match(
    refused.stderr(),
    /^[a-z-]+-\d ended with code 1: configuration refused: PENSTOCK_KAFKA_PARTITIONS: must be a whole number.*$/m,
  );
});

test('a machine without Java is told so in one line', async () => {
  const args = ['dev/bootstrap.mjs', 'start.ts', '--folder', folder, '--port', String(port)];
  const refused = runCommand(process.execPath, args, { PATH: '/nowhere', JAVA_HOME: undefined });
  assert.equal(await refused.exited, 1);
  assert.match(refused.stderr(), /^a JDK 17 or newer is needed for Kafka: no java on the PATH and no JAVA_HOME.*\n$/);
});
