import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { afterTick, restartsIn, type Watched } from '../../../lib/ops/watchdog.ts';
import { until } from '../../support/until.ts';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** Starts a process that has a watchdog; resolves once it is up. */
async function watched(does: string, timeoutMs: number, ...more: string[]) {
  const script = fileURLToPath(new URL('./watched-process.ts', import.meta.url));
  const child = spawn(process.execPath, [script, does, String(timeoutMs), ...more], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  children.push(child);
  const exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  const [said] = await once(child, 'message');
  assert.equal(said, 'up');
  return { child, exited };
}

/** What there is of a process's stderr until it ends. */
function stderrOf(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', chunk => {
    text += chunk;
  });
  return () => text;
}

test('a beat ends the time that the event loop has stood still, and a late tick counts as one interval', () => {
  const table: [beat: number, sinceTickMs: number, stoodMs: number][] = [
    [1, 50, 0],
    [1, 50, 50],
    [1, 48, 98],
    [1, 60_000, 148],
    [2, 50, 0],
    [2, 3_600_000, 50],
    [3, 3_600_000, 0],
  ];
  let watched: Watched = { beat: 0, stoodMs: 0 };
  for (const [beat, sinceTickMs, stoodMs] of table) {
    watched = afterTick(watched, beat, sinceTickMs, 50);
    assert.deepEqual(watched, { beat, stoodMs });
  }
});

test('a process whose event loop stands still is ended, and says for how long in one line of its log', async () => {
  const { child } = await watched('hang', 400);
  const text = stderrOf(child);
  assert.equal(await until('its end', () => child.signalCode, 10_000), 'SIGKILL');
  await until('its log', () => text().endsWith('\n'));
  const { time, stoodMs, message, ...line } = JSON.parse(text());
  assert.deepEqual(line, {
    level: 'fatal',
    service: 'watched',
    pid: child.pid,
    event: 'event_loop_stood_still',
    timeoutMs: 400,
  });
  assert.ok(stoodMs >= 400);
  assert.ok(Date.parse(time) > 0);
  assert.match(message, /has stood still for \d+ ms: ending this process/);
});

test('each process that is ended is noted in a file, from which the next one counts them', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-watchdog-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'watchdog');
  for (const restarts of [0, 1]) {
    assert.equal(restartsIn(file), restarts);
    const { child } = await watched('hang', 400, file);
    assert.equal(await until('its end', () => child.signalCode, 10_000), 'SIGKILL');
  }
  assert.equal(restartsIn(file), 2);
  assert.match(readFileSync(file, 'utf8'), /^(20\S+Z \d+\n){2}$/);
  assert.equal(restartsIn(undefined), 0);
});

test('a process that hangs in writing its log, which nobody reads, is ended too', async () => {
  const { child } = await watched('write', 400);
  child.stderr?.pause();
  assert.equal(await until('its end', () => child.signalCode, 10_000), 'SIGKILL');
});

test('a process that was stopped for many times its time-out goes on when it is continued', async () => {
  const timeoutMs = 300;
  const { child } = await watched('serve', timeoutMs);
  const text = stderrOf(child);
  for (let stop = 0; stop < 3; stop++) {
    const stoppedAtMs = performance.now();
    child.kill('SIGSTOP');
    await until('the time of the stop', () => performance.now() - stoppedAtMs > 4 * timeoutMs);
    child.kill('SIGCONT');
    child.send('ping');
    assert.deepEqual(await once(child, 'message'), ['pong', undefined]);
  }
  assert.equal(child.exitCode, null);
  assert.equal(text(), '');
});

test('a process that a debugger is attached to may stand still', async () => {
  const { child } = await watched('hang-under-debugger', 300);
  assert.deepEqual(await once(child, 'message'), ['went on', undefined]);
});

test('a process without anything else to do ends, its watchdog notwithstanding', async () => {
  const { exited } = await watched('end', 60_000);
  assert.deepEqual(await exited, { code: 0, signal: null });
});

test('0 switches the watchdog off', async () => {
  const { child } = await watched('hang', 0);
  const startedAtMs = performance.now();
  await until('ten ticks of no watchdog', () => performance.now() - startedAtMs > 2_000);
  assert.equal(child.exitCode ?? child.signalCode, null);
});
