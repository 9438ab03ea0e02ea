import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { putHelpersLast, startBehind } from '../../dev/processes/priority.ts';
import { until } from '../support/until.ts';

const cannot = existsSync('/proc/self/autogroup') ? false : 'this system does not share its cores between sessions';

async function startSession(): Promise<{ child: ChildProcess; pid: number; end(): Promise<void> }> {
  const script = "process.stdout.write('up'); setInterval(() => {}, 1_000);";
  const child = spawn(process.execPath, ['-e', script], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const end = async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return { child, pid: child.pid ?? 0, end };
}

const niceOf = (pid: number) => Number(/nice (-?\d+)/.exec(readFileSync(`/proc/${pid}/autogroup`, 'utf8'))?.[1]);

test('a process that starts goes behind all others until it has started', { skip: cannot }, async () => {
  const { pid, end } = await startSession();
  const { promise: started, resolve } = Promise.withResolvers<void>();
  const forward = startBehind(pid, started);
  assert.equal(niceOf(pid), 19);
  resolve();
  await forward;
  assert.equal(niceOf(pid), 0);
  await end();
});

test('and not for ever, where it never does', { skip: cannot }, async () => {
  const { pid, end } = await startSession();
  const forward = startBehind(pid, new Promise(() => undefined));
  assert.equal(niceOf(pid), 19);
  await forward;
  assert.equal(niceOf(pid), 0);
  await end();
});

test('one that dies first is not waited for', { skip: cannot }, async () => {
  const { child, pid, end } = await startSession();
  const forward = startBehind(pid, once(child, 'exit'));
  await end();
  await forward;
});

test("V8's helper threads go last, the program's own does not", { skip: cannot }, async () => {
  const { pid, end } = await startSession();
  const niceOfThreads = (name: string) =>
    readdirSync(`/proc/${pid}/task`)
      .map(thread => readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8'))
      .filter(stat => stat.includes(`(${name})`))
      .map(stat => Number(stat.split(') ')[1]?.split(' ')[16]));
  await until('it to have helpers', () => niceOfThreads('V8Worker').length > 0);
  putHelpersLast(pid);
  assert.deepEqual([...new Set(niceOfThreads('V8Worker'))], [19]);
  assert.deepEqual(niceOfThreads('MainThread'), [0]);
  await end();
});
