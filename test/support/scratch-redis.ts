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

/** Somebody else may take a port between the moment when it was found to be free and the server's start. */
const attempts = 3;

/**
 * The binary is TEST_REDIS_SERVER, or redis-server on the PATH.
 * @param running false: nothing listens there yet.
 * @param args further ones of redis-server, before which a configuration file may stand.
 * @param pickPort asked again where the server could not start.
 */
export async function startScratchRedis(
  running = true,
  args: readonly string[] = [],
  pickPort: () => Promise<number> = freePort,
): Promise<ScratchRedis> {
  for (let attempt = 1; ; attempt += 1) {
    const redis = scratchRedis(await pickPort(), args);
    if (!running) return redis;
    try {
      await redis.start();
      return redis;
    } catch (error) {
      await redis.close();
      if (attempt === attempts) throw error;
    }
  }
}

function scratchRedis(port: number, args: readonly string[]): ScratchRedis {
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const command = process.env.TEST_REDIS_SERVER ?? 'redis-server';
    const own = ['--bind', '127.0.0.1', '--port', `${port}`, '--save', '', '--appendonly', 'no', '--dir', tmpdir()];
    const started = spawn(command, [...own, ...args], { stdio: 'ignore' });
    child = started;
    await Promise.race([
      until('Redis answers', () => {
        if (started.exitCode !== null) throw new Error(`Redis on port ${port} ended with ${started.exitCode}`);
        return answers(port);
      }),
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
