import { once } from 'node:events';
import { connect } from 'node:net';
import { Redis } from 'ioredis';
import { testKafka } from '../../support/dump.ts';
import { until } from '../../support/until.ts';
import { pause } from '../whole.ts';
import type { Fault, World } from './types.ts';

const brokers = ['kafka-1', 'kafka-2', 'kafka-3'];

/** What happens to Kafka, Redis and PostgreSQL. */
export const serverFaults: readonly Fault[] = [
  { name: 'redis-kill', inject: world => killServer(world, 'redis') },
  { name: 'redis-pause', inject: world => pauseServer(world, 'redis', 4_000) },
  { name: 'redis-flush', inject: flushRedis },
  {
    /** Whoever comes back afterwards is behind the beginning of what Redis holds by then. */
    name: 'redis-flush-while-away',
    async inject(world) {
      const { clients, random, signal } = world;
      const comeBack = await clients.leave(random, clients.idle / 4);
      try {
        await pause(1_000, signal);
        await flushRedis(world);
        await pause(random.integer(2_000, 5_000), signal);
      } finally {
        comeBack();
      }
    },
  },
  { name: 'postgres-kill', inject: world => killServer(world, 'postgres') },
  { name: 'broker-kill', inject: world => killServer(world, world.random.pick(brokers)) },
  { name: 'broker-pause', inject: world => pauseServer(world, world.random.pick(brokers), 8_000) },
  { name: 'leader-moves', inject: moveLeaders },
];

async function flushRedis({ stack, log }: World): Promise<void> {
  const redis = new Redis(stack.redis, { lazyConnect: true });
  try {
    await redis.connect();
    log(`FLUSHALL, ${await redis.dbsize()} keys`);
    await redis.flushall();
  } finally {
    redis.disconnect();
  }
}

/** The stack starts it again after a second; ready is what the services make of it. */
async function killServer({ stack, log, signal }: World, name: string): Promise<void> {
  log(`SIGKILL ${name}`);
  const pid = stack.kill(name, 'SIGKILL');
  await until(`${name} to run again`, () => signal.aborted || (stack.pid(name) ?? pid) !== pid, 60_000);
  if (name.startsWith('kafka')) await inSync({ stack, signal });
}

async function pauseServer({ stack, log, signal }: World, name: string, ms: number): Promise<void> {
  log(`SIGSTOP ${name} for ${ms} ms`);
  stack.pause(name);
  try {
    await pause(ms, signal);
  } finally {
    stack.resume(name);
  }
  if (name.startsWith('kafka')) await inSync({ stack, signal });
}

/** Every partition has all its copies in sync again: the next fault may take another broker. */
export async function inSync({ stack, signal }: Pick<World, 'stack' | 'signal'>): Promise<void> {
  const admin = testKafka(stack.kafka).admin();
  await until(
    'all copies to be in sync',
    async () => {
      if (signal.aborted) return true;
      try {
        // what the others say of one that has just died is not true yet
        for (const address of stack.kafka) await listens(address);
        await admin.connect();
        const { topics } = await admin.fetchTopicMetadata();
        return topics.every(({ partitions }) => partitions.every(({ isr }) => isr.length === stack.kafka.length));
      } catch {
        return false;
      }
    },
    90_000,
  );
  await admin.disconnect();
}

/** @throws where nobody takes connections. */
async function listens(address: string): Promise<void> {
  const [host, port] = address.split(':');
  const socket = connect(Number(port), host);
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

/** Takes one broker off every partition's copies, so that whatever it leads moves, and puts it back. */
async function moveLeaders({ stack, random, log, signal }: World): Promise<void> {
  const admin = testKafka(stack.kafka).admin();
  await admin.connect();
  try {
    const { topics } = await admin.fetchTopicMetadata();
    const ours = topics.filter(({ name }) => !name.startsWith('__'));
    const ids = [...new Set(ours.flatMap(({ partitions }) => partitions.flatMap(({ replicas }) => replicas)))].sort();
    const leaving = random.pick(ids);
    const others = ids.filter(id => id !== leaving);
    log(`leaders leave broker ${leaving}`);
    const place = (replicas: (partition: number) => number[]) =>
      admin.alterPartitionReassignments({
        topics: ours.map(({ name, partitions }) => ({
          topic: name,
          partitionAssignment: partitions.map(({ partitionId }) => ({
            partition: partitionId,
            replicas: replicas(partitionId),
          })),
        })),
        timeout: 30_000,
      });
    const turned = (list: readonly number[], by: number) => [
      ...list.slice(by % list.length),
      ...list.slice(0, by % list.length),
    ];
    await place(partition => turned(others, partition));
    await until(
      `broker ${leaving} to lead nothing`,
      async () => {
        if (signal.aborted) return true;
        const now = await admin.fetchTopicMetadata({ topics: ours.map(({ name }) => name) });
        return now.topics.every(({ partitions }) => partitions.every(({ leader }) => leader !== leaving));
      },
      60_000,
    );
    await place(partition => turned(ids, partition));
  } finally {
    await admin.disconnect();
  }
  await inSync({ stack, signal });
}
