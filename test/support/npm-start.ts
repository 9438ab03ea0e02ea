import { type ChildProcess, spawn } from 'node:child_process';
import { plainEnvironment } from '../../dev/stack/environment.ts';
import { root } from '../../dev/stack/options.ts';
import { until } from './until.ts';

/** A command as a user gives it, in a process group of its own as a terminal would make it. */
export interface Command {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Waits for a line on stdout; fails with everything that was said when the command ends before. */
  line(pattern: RegExp, withinMs?: number): Promise<string>;
  exited: Promise<number | null>;
}

export function runCommand(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): Command {
  const child = spawn(command, args, {
    cwd: root,
    env: { ...plainEnvironment(process.env), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
    });
  }
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  let ended = false;
  exited.then(
    () => (ended = true),
    () => (ended = true),
  );
  return {
    child,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    exited,
    line: (pattern, withinMs = 90_000) =>
      until(
        `${command} ${args.join(' ')} says ${pattern}`,
        () => {
          const found = said.stdout.split('\n').find(line => pattern.test(line));
          if (found === undefined && ended) throw new Error(`it ended:\n${said.stdout}\n${said.stderr}`);
          return found;
        },
        withinMs,
      ),
  };
}

/** `npm start -- …`. */
export function npmStart(args: readonly string[], env: Readonly<Record<string, string | undefined>> = {}): Command {
  return runCommand('npm', ['start', '--', ...args], env);
}
