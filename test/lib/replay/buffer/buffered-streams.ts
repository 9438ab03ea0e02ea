/** What the tests of streams over the replay buffer share: streams on Kafka, and a Redis that has their newest records. */
import { randomBytes } from 'node:crypto';
import { closeRedis, connectRedis, type RedisClient } from '../../../../lib/redis/index.ts';
import type { BufferClaim } from '../../../../lib/replay/index.ts';
import { quietOps } from '../../../support/quiet-ops.ts';
import { until } from '../../../support/until.ts';
import { openStreamsOnKafka, type Replica, type StreamsOnKafka } from '../streams-on-kafka.ts';

/** A buffer in Redis that nobody else has. */
export interface Deployment {
  client: RedisClient;
  name: string;
}

export interface OwnerOptions {
  redis: Deployment;
  generation: number;
  /** What the group says of the owner where Redis has somebody newer; default: a zombie. */
  verify?: BufferClaim['verify'];
  ringBytes?: number;
}

export interface BufferedStreams extends StreamsOnKafka {
  client: RedisClient;
  deployment(): Deployment;
  /** A gateway that owns partition 0 of the topic, and keeps its records in Redis from here on. */
  owner(topic: string, options: OwnerOptions): Replica;
}

const zombie: BufferClaim['verify'] = async () => 'zombie';

export async function openBufferedStreams(
  redisUrl: string = process.env.TEST_REDIS ?? '',
  brokers?: readonly string[],
): Promise<BufferedStreams> {
  const streams = openStreamsOnKafka(brokers);
  const client = connectRedis({ url: redisUrl, tlsCaFile: undefined }, quietOps(), () => undefined);
  await until('Redis is connected', () => client.status === 'ready');
  return {
    ...streams,
    client,
    deployment: () => ({ client, name: `test-${randomBytes(4).toString('hex')}` }),
    owner(topic, { redis, generation, verify, ringBytes = 10_000_000 }) {
      const owner = streams.replica({ ringBytes }, redis);
      owner.streams.keepBuffer(topic, 0, claimOf(generation, verify));
      return owner;
    },
    async close() {
      closeRedis(client);
      await streams.close();
    },
  };
}

export function claimOf(generation: number, verify = zombie): BufferClaim {
  return { generation, counter: 1, verify };
}

/** A count of the replica's, by the last part of its name. */
export function countOf(replica: Replica, name: string): Promise<number> {
  return replica.metric(`penstock_replay_${name}`);
}

export type TierName = 'memory' | 'redis' | 'kafka';

/** How many streams have been resumed from a tier. */
export function resumedFrom(replica: Replica, tier: TierName): Promise<number> {
  return replica.metric('penstock_replay_resumed_total', { tier });
}
