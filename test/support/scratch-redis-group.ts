/** Redis servers of a test's own that belong together: a cluster, or a master with a replica and a sentinel. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { isFree, isServerPort } from '../../dev/stack/ports.ts';
import { freePort } from './free-ports.ts';
import { answers, type ScratchRedis, startScratchRedis } from './scratch-redis.ts';
import { until } from './until.ts';

export interface ScratchCluster {
  /** As PENSTOCK_REDIS_URL says it. */
  url: string;
  nodes: readonly ScratchRedis[];
  /** What any of its nodes says to a command. */
  ask(node: ScratchRedis, ...command: string[]): Promise<unknown>;
  close(): Promise<void>;
}

const slots = 16_384;

/** What a node is away from the port on which the others talk to it. */
const busOffset = 10_000;

/** A port whose bus port is free as well, and none of those that outgoing connections are given. */
async function portWithBus(): Promise<number> {
  return until('a pair of free ports', async () => {
    const port = await freePort();
    const busPort = port + busOffset;
    return isServerPort(busPort) && (await isFree(busPort)) ? port : undefined;
  });
}

/** Three masters, a third of the slots each. */
export async function startScratchCluster(): Promise<ScratchCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-cluster-'));
  const nodes = await Promise.all(
    [0, 1, 2].map(index =>
      startScratchRedis(
        true,
        [
          ...['--cluster-enabled', 'yes', '--cluster-config-file', join(folder, `nodes-${index}.conf`)],
          ...['--cluster-node-timeout', '1000', '--cluster-require-full-coverage', 'no'],
        ],
        portWithBus,
      ),
    ),
  );
  for (const [index, node] of nodes.entries()) {
    const [from, to] = [index, index + 1].map(part => Math.floor((part * slots) / nodes.length));
    const mine = Array.from({ length: (to ?? 0) - (from ?? 0) }, (_, slot) => `${(from ?? 0) + slot}`);
    await ask(node, 'CLUSTER', 'ADDSLOTS', ...mine);
    for (const other of nodes) await ask(node, 'CLUSTER', 'MEET', '127.0.0.1', `${other.port}`);
  }
  for (const node of nodes) {
    await until('the nodes know each other', async () => {
      const info = `${await ask(node, 'CLUSTER', 'INFO')}`;
      return (
        info.includes('cluster_state:ok') && info.includes('cluster_slots_ok:16384') && info.includes('cluster_size:3')
      );
    });
  }
  return {
    url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    nodes,
    ask,
    async close() {
      for (const node of nodes) await node.close();
      await rm(folder, { recursive: true });
    },
  };
}

export interface ScratchSentinel {
  url: string;
  master: ScratchRedis;
  replica: ScratchRedis;
  ask(node: ScratchRedis, ...command: string[]): Promise<unknown>;
  close(): Promise<void>;
}

/** A master, a replica that follows it, and one sentinel, which is enough to promote it. */
export async function startScratchSentinel(): Promise<ScratchSentinel> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-sentinel-'));
  const master = await startScratchRedis();
  const replica = await startScratchRedis(true, ['--replicaof', '127.0.0.1', `${master.port}`]);
  await until('the replica follows', async () =>
    `${await ask(replica, 'INFO', 'replication')}`.includes('master_link_status:up'),
  );
  const port = await freePort();
  const file = join(folder, 'sentinel.conf');
  await writeFile(
    file,
    [
      ...[`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`],
      `sentinel monitor bank 127.0.0.1 ${master.port} 1`,
      'sentinel down-after-milliseconds bank 500',
      'sentinel failover-timeout bank 3000',
      '',
    ].join('\n'),
  );
  const command = process.env.TEST_REDIS_SERVER ?? 'redis-server';
  const sentinel: ChildProcess = spawn(command, [file, '--sentinel'], { stdio: 'ignore' });
  const exited = once(sentinel, 'exit');
  await until('the sentinel answers', () => answers(port));
  await until('the sentinel knows the replica', async () => {
    const redis = new Redis(port, '127.0.0.1');
    try {
      const replicas = await redis.call('SENTINEL', 'REPLICAS', 'bank');
      return Array.isArray(replicas) && replicas.length === 1;
    } finally {
      redis.disconnect();
    }
  });
  return {
    url: `redis+sentinel://127.0.0.1:${port}/bank`,
    master,
    replica,
    ask,
    async close() {
      sentinel.kill('SIGKILL');
      await exited;
      await Promise.all([master.close(), replica.close()]);
      await rm(folder, { recursive: true });
    },
  };
}

async function ask({ port }: ScratchRedis, ...[command = '', ...args]: string[]): Promise<unknown> {
  const redis = new Redis(port, '127.0.0.1');
  try {
    return await redis.call(command, ...args);
  } finally {
    redis.disconnect();
  }
}
