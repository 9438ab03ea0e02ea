import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { dieWithUs } from './die-with-us.ts';
import type { ImageConfiguration } from './oci.ts';
import { bubblewrap } from './tools/index.ts';

/** A process of an image, as a container runtime starts it. */
export interface Container {
  /** Ends with the exit code of the image's process. */
  child: ChildProcess;
  /** The process id that the image's process has outside. */
  pid: number;
  /** What it has said on stdout and stderr. */
  said(): string;
}

/** A container runtime makes what it mounts over; we do so before the root becomes read-only. */
export async function prepareRoot(root: string): Promise<void> {
  for (const folder of ['proc', 'dev', 'etc']) await mkdir(join(root, folder), { recursive: true });
  for (const file of ['etc/hosts', 'etc/resolv.conf']) await writeFile(join(root, file), '');
}

/**
 * Starts the image's own entry point under its own user, as the first process of a PID namespace, without capabilities, with a read-only
 * root and an empty `/tmp`; the network is the machine's. Bubblewrap does it, which needs no engine and no root.
 */
export async function runImage(
  root: string,
  { config }: ImageConfiguration,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Container> {
  const [uid = '', gid = ''] = config.User.split(':');
  const variables = [...config.Env.map(text => text.split(/=(.*)/s)), ...Object.entries(env)];
  const wrap = [
    ...['--unshare-user', '--uid', uid, '--gid', gid, '--unshare-pid', '--as-pid-1', '--die-with-parent'],
    ...['--unshare-ipc', '--unshare-uts', '--cap-drop', 'ALL', '--info-fd', '3'],
    ...['--ro-bind', root, '/', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp'],
    ...['--ro-bind', '/etc/hosts', '/etc/hosts', '--ro-bind', '/etc/resolv.conf', '/etc/resolv.conf'],
    ...['--chdir', config.WorkingDir, '--clearenv'],
    ...variables.flatMap(([name = '', value = '']) => ['--setenv', name, value]),
    ...['--', ...config.Entrypoint, ...args],
  ];
  // Root takes the image's user for real, so that a file that only root may read is not readable.
  const asUser = process.getuid?.() === 0 ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] : [];
  const [program = '', ...rest] = [...asUser, await bubblewrap(), ...wrap];
  const child = dieWithUs(spawn(program, rest, { cwd: dirname(root), stdio: ['ignore', 'pipe', 'pipe', 'pipe'] }));
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-20_000);
    });
  const pid = await new Promise<number>((resolve, reject) => {
    let info = '';
    child.stdio[3]?.on('data', (text: Buffer) => {
      info += String(text);
      if (info.includes('}')) resolve(z.object({ 'child-pid': z.number() }).parse(JSON.parse(info))['child-pid']);
    });
    child.once('error', reject);
    child.once('exit', code => reject(new Error(`bubblewrap ended with ${code}: ${said}`)));
  });
  return { child, pid, said: () => said };
}
