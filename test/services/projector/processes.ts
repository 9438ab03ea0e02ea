import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { plainEnvironment } from '../../../dev/stack/environment.ts';
import { dieWithUs } from '../../support/die-with-us.ts';
import { until } from '../../support/until.ts';

const root = join(import.meta.dirname, '../../..');

/** A projector that is a process, to be killed and paused. */
export interface ProjectorProcess {
  pid: number;
  readyz(): Promise<{ status: number; reasons: Record<string, string> }>;
  signal(name: 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
  /** Resolves when it has ended: with its exit code, or null after a kill. */
  exited: Promise<number | null>;
}

export async function spawnProjector(env: Readonly<Record<string, string>>): Promise<ProjectorProcess> {
  const child: ChildProcess = spawn(process.execPath, ['services/projector/main.ts'], {
    cwd: root,
    env: { ...plainEnvironment(process.env), ...env },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  dieWithUs(child);
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  let admin: string | undefined;
  const lines: string[] = [];
  if (!child.stderr) throw new Error('no stderr');
  createInterface({ input: child.stderr }).on('line', line => {
    if (process.env.TEST_LOG !== undefined) process.stderr.write(`${line}\n`);
    if (lines.length < 50) lines.push(line);
    admin ??= /"admin":"([^"]+)"/.exec(line)?.[1];
  });
  const url = await until('the admin port', () => {
    if (child.exitCode !== null) throw new Error(`the projector has ended: ${lines.join('\n')}`);
    return admin;
  });
  return {
    pid: child.pid ?? -1,
    async readyz() {
      const response = await fetch(`${url}/readyz`);
      const { reasons = {} } = (await response.json()) as { reasons?: Record<string, string> };
      return { status: response.status, reasons };
    },
    signal: name => void child.kill(name),
    exited,
  };
}
