import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Trouble } from '../dev/stack/trouble.ts';

const execute = promisify(execFile);

/** Runs a command and returns what it prints on stdout. @throws Trouble with the end of what it says on stderr. */
export async function output(command: string, args: readonly string[], cwd?: string): Promise<string> {
  try {
    const { stdout } = await execute(command, [...args], {
      maxBuffer: 64 << 20,
      ...(cwd === undefined ? {} : { cwd }),
    });
    return stdout;
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const why = (stderr?.trim() || message).split('\n').slice(-3).join(' / ');
    throw new Trouble(`${command} ${args[0] ?? ''} failed: ${why}`, { cause: error });
  }
}
