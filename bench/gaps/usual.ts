import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { Redis } from 'ioredis';
import { WebSocket } from 'ws';
import { putHelpersLast, startBehind } from '../../dev/processes/priority.ts';
import { nodeOptions } from '../../dev/stack/services.ts';
import { partitionOf } from '../../lib/kafka/index.ts';
import type { Stack } from '../../test/support/stack.ts';
import { until } from '../../test/support/until.ts';
import { gatewayCount, type System, topic } from './system.ts';

/**
 * The usual design: `bench/usual/server.ts` as often as Penstock has gateways, and stock graphql-ws clients that always
 * retry, with the library's own waits or `retryWait`. A client asks for its partition's owner at each connect, as Penstock's does.
 */
export async function usual(
  stack: Pick<Stack, 'kafka' | 'redis' | 'partitions'>,
  quietMs: number,
  retryWait?: (attempt: number) => Promise<void>,
): Promise<System> {
  const redis = new Redis(stack.redis);
  const ownersKey = `usual:${process.pid}:owners`;
  const running: ChildProcess[] = [];

  const owners = async () => {
    const entries = await redis.hgetall(ownersKey);
    return Array.from({ length: stack.partitions }, (_, partition) => entries[partition] ?? '');
  };

  async function start(): Promise<void> {
    const script = new URL('../usual/server.ts', import.meta.url).pathname;
    const args = [
      ...nodeOptions,
      '--disable-warning=TimeoutNegativeWarning',
      script,
      stack.kafka.join(),
      stack.redis,
      topic,
      ownersKey,
      String(stack.partitions),
    ];
    // As Penstock's: in a session of its own, behind the others while it starts. It ends when its input does.
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    running.push(child);
    const { pid = 0 } = child;
    void startBehind(pid, said(child.stdout, 'listening'));
    await Promise.race([
      said(child.stdout, 'ready'),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`a usual gateway ended with ${code}`))),
    ]);
    putHelpersLast(pid);
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const child = running.pop();
    if (child === undefined) throw new Error('no usual gateway runs');
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  for (let count = 0; count < gatewayCount; count++) await start();
  await until('the usual design to own every partition', async () => (await owners()).every(owner => owner !== ''));

  return {
    name: retryWait ? 'usual, quick retry' : 'usual design',
    owners,
    async openClient(user, onRecord) {
      const partition = partitionOf(user, stack.partitions);
      const client = createClient({
        url: async () => {
          const owner = await redis.hget(ownersKey, String(partition));
          if (!owner) throw new Error('no owner');
          return owner;
        },
        webSocketImpl: WebSocket,
        retryAttempts: Number.POSITIVE_INFINITY,
        shouldRetry: () => true,
        lazy: false,
        ...(retryWait && { retryWait }),
      });
      const connected = new Promise(resolve => client.on('connected', resolve));
      client.subscribe<{ records: { id: string } }>(
        { query: 'subscription($user: String!) { records(user: $user) { id } }', variables: { user } },
        {
          next: ({ data, errors }) =>
            data ? onRecord(data.records.id) : process.stderr.write(`usual: ${user}: ${JSON.stringify(errors)}\n`),
          error: error => process.stderr.write(`usual: the stream of ${user} ended: ${error}\n`),
          complete: () => undefined,
        },
      );
      await connected;
      return { close: async () => client.dispose() };
    },
    faults: {
      nothing: () => sleep(quietMs),
      join: start,
      leave: () => end('SIGTERM'),
      async 'rolling restart'() {
        for (let index = 0; index < gatewayCount; index++) {
          const last = running.pop();
          if (last !== undefined) running.unshift(last); // the next one each time
          await end('SIGTERM');
          await sleep(1_000); // as long as Penstock's supervisor waits
          await start();
        }
      },
      'kill -9': () => end('SIGKILL'),
      return: start,
    },
    async close() {
      while (running.length > 0) await end('SIGTERM');
      await redis.del(ownersKey);
      redis.disconnect();
    },
  };
}

/** Resolves with the first output that has the word in it. */
function said(output: Readable, word: string): Promise<void> {
  return new Promise(resolve => output.on('data', text => String(text).includes(word) && resolve()));
}
