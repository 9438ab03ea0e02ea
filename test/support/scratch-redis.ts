import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { freePort } from './free-ports.ts';
import { until } from './until.ts';

/** A Redis of a test's own, to be killed, paused, flushed and started again. It keeps nothing on disk. */
export interface ScratchRedis {
  url: string;
  port: number;
  /** kill -9; it comes back empty. */
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
  /** Resolves when it answers. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The binary is TEST_REDIS_SERVER, or redis-server on the PATH.
 * @param running false: nothing listens there yet.
 * @param args further ones of redis-server, before which a configuration file may stand.
 */
export async function startScratchRedis(running = true, args: readonly string[] = []): Promise<ScratchRedis> {
  const port = await freePort();
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const command = process.env.TEST_REDIS_SERVER ?? 'redis-server';
    const own = ['--bind', '127.0.0.1', '--port', `${port}`, '--save', '', '--appendonly', 'no', '--dir', tmpdir()];
    const started = spawn(command, [...own, ...args], { stdio: 'ignore' });
    child = started;
    await Promise.race([
      until('Redis answers', () => answers(port)),
      once(started, 'error').then(([error]) => Promise.reject(error)),
    ]);
  }

  async function kill(): Promise<void> {
    const killed = child;
    child = undefined;
    if (killed === undefined) return;
    killed.kill('SIGKILL');
    if (killed.exitCode === null && killed.signalCode === null) await once(killed, 'exit');
  }

  if (running) await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill,
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    start,
    close: kill,
  };
}

export function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = createConnection({ host: '127.0.0.1', port }, () => socket.write('PING\r\n'));
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
