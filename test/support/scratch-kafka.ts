import { randomBytes } from 'node:crypto';
import {
  connectKafka,
  type KafkaConnection,
  openTopics,
  type TopicPartition,
  type Topics,
} from '../../lib/kafka/index.ts';
import { quietOps } from './quiet-ops.ts';
import { until } from './until.ts';

/** The test broker; a test without one must fail, not pass silently. */
export function kafkaAddress(): string {
  const address = process.env.TEST_KAFKA;
  if (address === undefined) throw new Error('TEST_KAFKA (host:port) is not set');
  return address;
}

type KafkaConfig = Parameters<typeof connectKafka>[0];

/** The `kafka` section with its defaults; tests set what they are about. */
export function kafkaConfig(brokers: readonly string[]): KafkaConfig {
  return {
    brokers: [...brokers],
    tls: false,
    tlsCaFile: undefined,
    tlsCertFile: undefined,
    tlsKeyFile: undefined,
    saslMechanism: undefined,
    saslUsername: undefined,
    saslPassword: undefined,
    sessionTimeoutMs: 6_000,
    heartbeatIntervalMs: 250,
    fetchMaxWaitMs: 100,
    fetchPaceMs: 0,
    producePaceMs: 0,
    fetchPartitionBytes: 262_144,
    laneBufferBytes: 16_777_216,
    createTopics: true,
    partitions: 24,
    replicationFactor: 1,
  };
}

export interface ScratchKafka {
  connection: KafkaConnection;
  topics: Topics;
  ops: ReturnType<typeof quietOps>;
  /** A new topic under a name of its own. */
  topic(partitions: number, config?: Readonly<Record<string, string>>): Promise<string>;
  /** A group id of its own. */
  group(): string;
  /** Resolves when the topic is gone for `topics` too, so that `ensure` makes another one. */
  remove(topic: string): Promise<void>;
  close(): Promise<void>;
}

/** A connection to the test broker, and topics under names of their own. */
export function openScratchKafka(
  brokers: readonly string[] = [kafkaAddress()],
  config: Partial<KafkaConfig> = {},
): ScratchKafka {
  const ops = quietOps('scratch');
  const connection = connectKafka({ ...kafkaConfig(brokers), ...config }, ops);
  const topics = openTopics(connection);
  const made: string[] = [];
  const unique = (prefix: string) => `${prefix}-${randomBytes(6).toString('hex')}`;

  async function remove(topic: string): Promise<void> {
    const cluster = connection.openCluster('remove');
    const { controllerId } = await cluster.refresh([]);
    const link = await cluster.link(controllerId);
    await link.call(broker => broker.deleteTopics({ topics: [topic], timeout: 10_000 }));
    cluster.close();
  }

  return {
    connection,
    topics,
    ops,
    async topic(partitions, config = {}) {
      const name = unique('scratch');
      made.push(name);
      await topics.ensure([{ name, partitions, replicationFactor: 1, config }]);
      return name;
    },
    group: () => unique('scratch-group'),
    async remove(topic) {
      const place = made.indexOf(topic);
      if (place >= 0) made.splice(place, 1);
      await remove(topic);
      // The controller has answered; the broker goes on naming the topic until it gets to it.
      await until('the topic is gone', async () => (await topics.identity(topic)) === undefined);
    },
    async close() {
      for (const topic of made) await remove(topic).catch(() => undefined);
      await topics.close();
      await connection.close();
    },
  };
}

/** Everything that a partition holds now, as text. */
export async function contentOf(topics: Topics, at: TopicPartition): Promise<string[]> {
  const values: string[] = [];
  const end = await topics.endOffset(at);
  let offset = await topics.startOffset(at);
  while (offset < end) {
    const batch = await topics.fetch(at, offset, 1_048_576);
    values.push(...batch.records.map(({ value }) => value?.toString('utf8') ?? ''));
    offset = batch.nextOffset;
  }
  return values;
}
