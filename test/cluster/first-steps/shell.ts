import { spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { until } from '../../support/until.ts';

/** A shell that is given one command after the other, as by a person, and says all that is printed meanwhile. */
export interface Shell {
  /** Resolves to the command's exit code and what was printed since the command before, jobs in the background included. */
  run(command: string, timeoutMs: number): Promise<{ code: number; printed: string }>;
  /** Ends it with its jobs. */
  close(): void;
}

/** Commands come over a descriptor of their own, so that none reads the next one as its input. */
const loop = 'exec 2>&1; while IFS= read -r -d "" -u 3 command; do eval "$command" </dev/null; echo $? >&4; done';

export function openShell(folder: string): Shell {
  const child = spawn('bash', ['--norc', '-c', loop], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit', 'pipe', 'pipe'],
    detached: true, // with a process group of its own, which holds the jobs
  });
  let printed = '';
  const codes: number[] = [];
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (printed += chunk));
  child.stdio[4]?.on('data', (chunk: Buffer) => codes.push(...chunk.toString().trim().split('\n').map(Number)));
  const commands = child.stdio[3] as Writable;
  return {
    async run(command, timeoutMs) {
      commands.write(`${command}\0`);
      const code = await until(`the end of '${command}'`, () => codes.shift()?.toString(), timeoutMs, 50);
      const text = printed;
      printed = '';
      return { code: Number(code), printed: text };
    },
    close() {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
    },
  };
}
