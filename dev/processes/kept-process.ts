import { type ChildProcess, spawn } from 'node:child_process';
import { startTimeOf } from '../lock.mjs';
import { lastLine, openLogFile } from './log-file.ts';
import type { ProcessKind, Register } from './register.ts';

/** How one process is started. */
export interface ProcessSpec {
  command: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd?: string;
  /** The user to become; the caller's own when not given. */
  identity?: { uid: number; gid: number };
}

/** A process that is started again after each death, until it is stopped. */
export interface KeptProcess {
  readonly name: string;
  /** Of the process that runs now; undefined while there is none. */
  pid(): number | undefined;
  /** Starts it, unless it runs or may not. */
  start(): void;
  /** Ends it for good: asks, waits up to `graceMs`, kills. Returns when it is gone. */
  stop(graceMs: number): Promise<void>;
}

export interface Keeping {
  name: string;
  kind: ProcessKind;
  stopSignal: NodeJS.Signals;
  logFile: string;
  register: Register;
  restartAfterMs: number;
  /** How to start it this time. */
  spec(): Promise<ProcessSpec>;
  /** Whether it may run now; false keeps it dead until the next `start()`. */
  mayRun(): boolean;
  /** Each time a process has come. */
  onStart(pid: number): void;
  /** Each time it has gone without being asked to, or could not be started, and why, in one line. */
  onDeath(why: string): void;
  /** Each time it has gone, asked or not. */
  onGone(pid: number): void;
}

export function keepProcess(keeping: Keeping): KeptProcess {
  let state: 'idle' | 'launching' | 'running' | 'waiting' | 'stopped' = 'idle';
  let child: ChildProcess | undefined;
  let ended: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  function start(): void {
    if (state !== 'idle' || !keeping.mayRun()) return;
    state = 'launching';
    ended = launch().catch(error => died(`could not be started: ${error instanceof Error ? error.message : error}`));
  }

  async function launch(): Promise<void> {
    const spec = await keeping.spec();
    if (state !== 'launching') return; // stopped meanwhile
    const log = openLogFile(keeping.logFile);
    const logFrom = log.size();
    try {
      child = spawn(spec.command, spec.args, {
        env: spec.env,
        stdio: ['ignore', log.fd, log.fd],
        detached: true, // a terminal's Ctrl-C is for the supervisor, which stops everything in order
        ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
        ...spec.identity,
      });
    } finally {
      log.close();
    }
    const { pid } = child;
    const exit = new Promise<string>((resolve, reject) => {
      child?.once('error', reject);
      child?.once('exit', (code, signal) => {
        resolve(signal ? `ended by ${signal}` : `ended with code ${code}: ${lastLine(keeping.logFile, logFrom)}`);
      });
    });
    if (pid !== undefined) {
      state = 'running';
      const started = startTimeOf(pid);
      if (started !== undefined) {
        const { name, kind, stopSignal } = keeping;
        keeping.register.add({ name, pid, started, kind, stopSignal });
      }
      keeping.onStart(pid);
    }
    const how = await exit;
    child = undefined;
    if (pid !== undefined) {
      keeping.register.remove(pid);
      keeping.onGone(pid);
    }
    died(how);
  }

  function died(why: string): void {
    if (state === 'stopped') return;
    state = 'waiting';
    timer = setTimeout(() => {
      state = 'idle';
      start();
    }, keeping.restartAfterMs);
    keeping.onDeath(why);
  }

  async function stop(graceMs: number): Promise<void> {
    state = 'stopped';
    clearTimeout(timer);
    child?.kill(keeping.stopSignal);
    child?.kill('SIGCONT'); // a paused one would never hear it
    const kill = setTimeout(() => child?.kill('SIGKILL'), graceMs);
    await ended;
    clearTimeout(kill);
  }

  return { name: keeping.name, pid: () => child?.pid, start, stop };
}
