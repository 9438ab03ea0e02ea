import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { tryLock } from '../../../dev/lock.mjs';
import { javaCommand } from '../../../dev/requirements.mjs';
import { cacheFolder } from '../../../dev/servers/cache.ts';
import { reportToStderr } from '../../../dev/stack/trouble.ts';

const execute = promisify(execFile);

/** A tool that cannot be had on this machine. The message names it and says how to install it: a test is skipped with it. */
export class ToolMissing extends Error {
  override readonly name = 'ToolMissing';
}

/**
 * Returns the folder `tools/<name>` of the per-user cache. Where it is not there yet, `make` fills a draft, which becomes the folder by
 * a rename: it is there whole or not at all. A lock keeps two processes from making the same folder.
 * @param name holds the version and the platform, so that another version is another folder.
 */
export async function cached(name: string, make: (draft: string) => Promise<void>): Promise<string> {
  const tools = join(cacheFolder(), 'tools');
  const folder = join(tools, name);
  if (existsSync(folder)) return folder;
  await mkdir(tools, { recursive: true });
  for (;;) {
    const lock = tryLock(join(tools, `${name}.lock`));
    if ('holder' in lock) {
      await sleep(250);
      continue;
    }
    const draft = await mkdtemp(join(tools, `fetching-`));
    try {
      if (existsSync(folder)) return folder; // another process has made it meanwhile
      const started = performance.now();
      reportToStderr(`fetching ${name} (first time only)`);
      await make(draft);
      await rename(draft, folder);
      reportToStderr(`fetched ${name} in ${((performance.now() - started) / 1_000).toFixed(1)} s`);
      return folder;
    } finally {
      await rm(draft, { recursive: true, force: true });
      lock.release();
    }
  }
}

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

/**
 * Runs a command and returns what it prints on stdout.
 * @throws ToolMissing with `otherwise`, which says what to install, where the command is not there or fails.
 */
export async function runOr(
  otherwise: string,
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  try {
    const { stdout } = await execute(command, [...args], { maxBuffer: 16 << 20, ...options });
    return stdout;
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const why = (stderr?.trim() || message).split('\n').slice(-3).join(' / ');
    throw new ToolMissing(`${otherwise} (${command} failed: ${why})`, { cause: error });
  }
}

/** Extracts `files` of a zip archive, or all of it, into `folder`, by the JDK's `jar`: Kafka needs a JDK anyway. */
export async function unzip(archive: string, folder: string, files: readonly string[] = []): Promise<void> {
  const java = javaCommand();
  const jar = java === 'java' ? 'jar' : join(dirname(java), 'jar');
  await runOr('a JDK: apt-get install openjdk-17-jdk-headless', jar, ['xf', archive, ...files], { cwd: folder });
}

/** Returns `command` where the machine has it in a version that fits. @throws ToolMissing with `otherwise` if not. */
export async function onPath(
  command: string,
  versionArguments: readonly string[],
  fitting: RegExp,
  otherwise: string,
): Promise<string> {
  const said = await runOr(otherwise, command, versionArguments);
  if (!fitting.test(said)) throw new ToolMissing(`${otherwise} (${command} on the PATH is ${said.trim()})`);
  return command;
}

export const platform = `${process.platform}-${process.arch}`;
