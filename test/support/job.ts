import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { isAbsolute, join } from 'node:path';
import { plainEnvironment } from '../../dev/stack/environment.ts';
import { root } from '../../dev/stack/options.ts';
import { dieWithUs } from './die-with-us.ts';

export interface JobRun {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Job {
  /** Resolves when it has ended. */
  done: Promise<JobRun>;
  /** What it has said on stderr so far. */
  said(): string;
  kill(signal: NodeJS.Signals): void;
}

/** Starts one of the programs in `jobs`, as a Job of the chart does. @param name a name, or the path of a bundle. */
export function startJob(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Job {
  const script = isAbsolute(name) ? name : join(root, 'jobs', `${name}.ts`);
  const child = dieWithUs(
    spawn(process.execPath, [script, ...args], {
      env: { ...plainEnvironment(process.env), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  const run = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    run.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    run.stderr += text;
  });
  return {
    done: once(child, 'close').then(() => ({ code: child.exitCode, ...run })),
    said: () => run.stderr,
    kill: signal => void child.kill(signal),
  };
}

export function runJob(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<JobRun> {
  return startJob(name, args, env).done;
}
