import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../support/until.ts';
import { namesOf, pause } from '../whole.ts';
import type { Fault, World } from './types.ts';

const libraries = '/usr/lib{,64}/{,*/}faketime/libfaketimeMT.so.1';

function library(): string | undefined {
  return globSync(libraries)[0];
}

/** The wall clock of one process jumps an hour ahead, then two hours back, then to the right time; its timers go on. */
export const clockFaults: readonly Fault[] = ['gateway', 'command-handler', 'router'].map(service => ({
  name: `clock-${service}`,
  unavailable: () => (library() === undefined ? `needs libfaketime (${libraries})` : undefined),
  inject: world => jump(world, service),
}));

async function jump(world: World, service: string): Promise<void> {
  const { stack, random, log, signal } = world;
  const name = random.pick(namesOf(stack, service));
  const folder = mkdtempSync(join(tmpdir(), 'penstock-clock-'));
  const offset = join(folder, 'offset');
  const set = (value: string) => {
    writeFileSync(offset, `${value}\n`);
    log(`the clock of ${name}: ${value}`);
  };
  try {
    set('+0');
    const double = await replace(world, name, {
      LD_PRELOAD: library() ?? '',
      FAKETIME_TIMESTAMP_FILE: offset,
      FAKETIME_CACHE_DURATION: '1', // reading the file at each look at the clock is slow
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    });
    try {
      for (const value of ['+1h', '-1h', '+0']) {
        if (signal.aborted) break;
        set(value);
        await pause(random.integer(6_000, 12_000), signal);
        if (double.ended()) throw new Error(`${name} did not survive its clock: ${double.said()}`);
      }
    } finally {
      await double.end();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a process of the stack by ourselves, with more environment, in place of the one that the stack runs. */
async function replace({ stack, signal }: World, name: string, env: Readonly<Record<string, string>>) {
  const { pid, admin } = stack.process(name);
  const [command = '', ...args] = listed(`/proc/${pid}/cmdline`);
  const own = Object.fromEntries(listed(`/proc/${pid}/environ`).map(entry => entry.split(/=(.*)/s).slice(0, 2)));
  const cwd = readlinkSync(`/proc/${pid}/cwd`);
  await stack.down(name);
  const child = spawn(command, args, { cwd, env: { ...own, ...env }, stdio: ['ignore', 'ignore', 'pipe'] });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let said = '';
  child.stderr.on('data', chunk => (said = (said + chunk).slice(-2_000)));
  const exited = once(child, 'exit');
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  const end = async () => {
    if (!ended()) child.kill('SIGTERM');
    await exited;
    process.removeListener('exit', kill);
    await stack.up(name);
  };
  try {
    const isReady = async () => (await fetch(`${admin}/readyz`).catch(() => undefined))?.ok === true;
    await until(`${name} under another clock to be ready`, () => ended() || signal.aborted || isReady(), 60_000);
  } catch (error) {
    await end();
    throw error;
  }
  return { ended, end, said: () => said };
}

/** A file of /proc whose entries end with NUL. */
function listed(path: string): string[] {
  return readFileSync(path, 'utf8').split('\0').filter(Boolean);
}
