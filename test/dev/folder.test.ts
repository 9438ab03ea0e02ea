import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startTimeOf, tryLock } from '../../dev/lock.mjs';
import { isAlive, openRegister, readRegister, sweep } from '../../dev/processes/register.ts';
import { filesOf, readDown, type Settings, settle, takeFolder } from '../../dev/stack/folder.ts';

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-folder-'));
  folders.push(folder);
  return folder;
}

/** A process that does nothing until it is told to end; with `deaf`, it does not listen. */
async function idler(deaf = false) {
  const script = `${deaf ? "process.on('SIGTERM', () => {});" : ''} setInterval(() => {}, 1000); console.log('up')`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  const pid = child.pid ?? 0;
  return {
    child,
    registered: {
      name: 'idler',
      pid,
      started: startTimeOf(pid) ?? '',
      kind: 'service' as const,
      stopSignal: 'SIGTERM' as const,
    },
  };
}

test('a folder belongs to one stack at a time', async () => {
  const folder = newFolder();
  const first = await takeFolder(folder, false, () => undefined);
  await assert.rejects(
    takeFolder(folder, false, () => undefined),
    {
      name: 'Trouble',
      message: `a stack already runs in ${folder} (process ${process.pid})`,
    },
  );
  first.release();
  (await takeFolder(folder, false, () => undefined)).release();
});

test('a lock whose holder has died is taken over, also when the pid lives on as another process', () => {
  const path = join(newFolder(), 'lock');
  for (const holder of ['', '{', '{"pid":999999999,"started":"1"}', `{"pid":${process.pid},"started":"1"}`]) {
    writeFileSync(path, holder);
    const lock = tryLock(path);
    assert.ok('release' in lock, `the lock that says ${holder}`);
    lock.release();
    assert.equal(existsSync(path), false);
  }
});

test('of many that find a stale lock at the same time, one gets it', async () => {
  const path = join(newFolder(), 'lock');
  writeFileSync(path, '{"pid":999999999,"started":"1"}');
  const script = `import { tryLock } from ${JSON.stringify(join(import.meta.dirname, '../../dev/lock.mjs'))};
    console.log('release' in tryLock(${JSON.stringify(path)}) ? 'got it' : 'did not'); setInterval(() => {}, 1000);`;
  const children = Array.from({ length: 6 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  const said = await Promise.all(children.map(async child => String((await once(child.stdout, 'data'))[0]).trim()));
  for (const child of children) child.kill('SIGKILL');
  assert.deepEqual(said.sort(), ['did not', 'did not', 'did not', 'did not', 'did not', 'got it']);
});

test('a start ends what an earlier one has left running, and only that', async () => {
  const folder = newFolder();
  const left = await idler();
  const other = await idler();
  const register = openRegister(filesOf(folder).register);
  register.add(left.registered);
  register.add({ ...other.registered, started: 'at another time' }); // the pid was given again
  (await takeFolder(folder, false, () => undefined)).release();
  assert.equal(isAlive(left.registered), false);
  assert.equal(isAlive(other.registered), true);
  other.child.kill('SIGKILL');
});

test('a left-over that does not listen is killed, also a paused one', async () => {
  const deaf = await idler(true);
  const paused = await idler();
  process.kill(paused.registered.pid, 'SIGSTOP');
  assert.equal(await sweep([deaf.registered, paused.registered], 300), 2);
  assert.equal(isAlive(deaf.registered) || isAlive(paused.registered), false);
});

test('the register is what is on disk', () => {
  const path = join(newFolder(), 'pids.json');
  const register = openRegister(path);
  const entry = { name: 'redis', pid: 7, started: '1', kind: 'service' as const, stopSignal: 'SIGTERM' as const };
  register.add(entry);
  assert.deepEqual(readRegister(path), { supervisor: process.pid, processes: [entry] });
  register.remove(7);
  assert.deepEqual(readRegister(path)?.processes, []);
});

test('--fresh leaves nothing of what was there', async () => {
  const folder = newFolder();
  writeFileSync(join(folder, 'settings.json'), '{}');
  writeFileSync(join(folder, 'down'), 'gateway-0\n');
  const taken = await takeFolder(folder, true, () => undefined);
  assert.deepEqual(readdirSync(folder).sort(), ['lock', 'logs']);
  taken.release();
});

const kept: Settings = { clusterId: 'c', brokers: 3, partitions: 6, ports: { redis: 20_001 } };

test('data keeps the brokers and partitions that it was made with', () => {
  assert.deepEqual(
    settle(kept, { brokers: undefined, partitions: undefined }, () => 'new'),
    kept,
  );
  assert.deepEqual(
    settle(kept, { brokers: 3, partitions: 6 }, () => 'new'),
    kept,
  );
  assert.deepEqual(
    settle(undefined, { brokers: undefined, partitions: undefined }, () => 'new'),
    {
      clusterId: 'new',
      brokers: 1,
      partitions: 24,
      ports: {},
    },
  );
});

test('asking for others than the data was made with is refused, with the way out', () => {
  for (const asked of [
    { brokers: 1 as const, partitions: undefined },
    { brokers: undefined, partitions: 24 },
  ]) {
    assert.throws(() => settle(kept, asked, () => 'new'), { name: 'Trouble', message: /was made with --.*--fresh/ });
  }
});

test('the down file is one name a line', () => {
  const folder = newFolder();
  assert.deepEqual([...readDown(folder)], []);
  writeFileSync(filesOf(folder).down, '\n gateway-0 \r\nredis\n\n');
  assert.deepEqual([...readDown(folder)], ['gateway-0', 'redis']);
});
