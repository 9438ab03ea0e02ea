import { execFileSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { createConnection } from 'node:net';
import type { ProcessSpec } from '../processes/kept-process.ts';
import { type Report, Trouble } from '../stack/trouble.ts';

/**
 * The Redis that runs here: the fetched binary, or, where that does not start (it needs OpenSSL 3), one on the PATH.
 * @throws Trouble where there is neither.
 */
export function redisCommand(fetched: string, report: Report): string {
  if (redisVersion(fetched) !== undefined) return fetched;
  const onPath = redisVersion('redis-server');
  if (onPath !== undefined && onPath >= 6.2) {
    report(`the fetched Redis does not start on this machine; using redis-server ${onPath} from the PATH`);
    return 'redis-server';
  }
  throw new Trouble(
    'the fetched Redis does not start here (it needs libssl3), and there is no redis-server >= 6.2 on the PATH',
  );
}

/** Major and minor version as one number, or nothing where the binary does not start. */
function redisVersion(command: string): number | undefined {
  try {
    const said = execFileSync(command, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const version = /v=(\d+\.\d+)/.exec(said)?.[1];
    return version === undefined ? undefined : Number(version);
  } catch {
    return undefined;
  }
}

export async function redisSpec(
  command: string,
  folder: string,
  port: number,
  env: NodeJS.ProcessEnv,
): Promise<ProcessSpec> {
  await mkdir(folder, { recursive: true });
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--appendonly', 'yes', '--save', ''];
  return { command, args, env, cwd: folder };
}

/** Whether Redis answers: it does not while it loads its data. */
export async function redisAnswers(port: number, timeoutMs: number): Promise<boolean> {
  const socket = createConnection({ host: '127.0.0.1', port });
  try {
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    socket.write('PING\r\n');
    for await (const chunk of socket) return String(chunk).startsWith('+PONG');
    return false;
  } finally {
    socket.destroy();
  }
}
