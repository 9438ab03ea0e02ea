import kafkajs, { type Message } from 'kafkajs';
import { partitionOf } from '../../../lib/kafka/index.ts';
import { testKafka } from '../../support/dump.ts';
import { until } from '../../support/until.ts';
import { pause } from '../whole.ts';
import type { Fault, World } from './types.ts';

const { ConfigResourceTypes } = kafkajs;
/** Nobody else's ticks have such numbers. */
export const numberOf = (world: World) => world.random.integer(3_000_000_000, 4_200_000_000);

interface Strange {
  topic: string;
  key: string | null;
  value: string | null;
  partition: number;
  headers?: Record<string, string>;
}

/** What lies in the log. */
export const recordFaults: readonly Fault[] = [
  {
    /** As large as a broker takes, each larger than what one fetch asks of a partition; and one that no broker takes. */
    name: 'oversize-records',
    async inject(world) {
      const { stack, clients, random, log } = world;
      const tick = (bytes: number): Strange => {
        const key = random.pick(clients.keys);
        const value = JSON.stringify({ n: numberOf(world), pad: 'x'.repeat(bytes) });
        return { topic: 'ticks', key, value, partition: partitionOf(key, stack.partitions) };
      };
      const large = [300_000, 950_000, 950_000].map(tick);
      await produce(world, large);
      log(`3 records of up to 950 kB`);
      const refused = await produce(world, [tick(1_200_000)]).then(
        () => false,
        () => true,
      );
      if (!refused) throw new Error('a broker took 1.2 MB: the fault does no harm');
    },
  },
  {
    name: 'poison-records',
    async inject(world) {
      const { stack, clients, random, log } = world;
      const stranger = 'a-stranger';
      const key = random.pick(clients.keys);
      const partition = partitionOf(key, stack.partitions);
      const bad = ['no json', '"text"', '[1]', '{}', '{"n":"one"}', '{"n":1.5}', '{"n":null}', null];
      const good = () => JSON.stringify({ n: numberOf(world) });
      const elsewhere = (partition + 1) % stack.partitions;
      await produce(world, [
        ...bad.map(value => ({ topic: 'ticks', key, value, partition })),
        { topic: 'ticks', key, value: good(), partition: elsewhere },
        { topic: 'ticks', key: null, value: good(), partition },
        ...['no json', '[1]'].map(value => ({ topic: 'balance_changed', key, value, partition })),
        // A tombstone takes its key's rows from the views, as it should: not those of a user whose views are compared.
        ...['{"id":1}', '{"id":"x","iban":7}', null].map(value => ({
          ...{ topic: 'balance_changed', key: stranger, value },
          partition: partitionOf(stranger, stack.partitions),
        })),
        ...['no json', '{}', null].map(value => ({ topic: 'commands', key, value, partition })),
        {
          ...{ topic: 'commands', key: stranger, value: '{"amount":"all"}' },
          partition: partitionOf(stranger, stack.partitions),
          headers: { ce_id: random.uuid(), ce_type: 'transferMoney' },
        },
        {
          ...{ topic: 'commands', key: stranger, value: '{}' },
          partition: partitionOf(stranger, stack.partitions),
          headers: { ce_id: random.uuid(), ce_type: 'robBank' },
        },
      ]);
      log(`records that fit nothing, in ticks, balance_changed and commands, keyed ${key}`);
    },
  },
  { name: 'kafka-refuses', inject: refuse },
];

/** So many ticks of one user, each of so many bytes. */
export async function largeTicks(world: World, key: string, count: number, bytes: number): Promise<void> {
  const partition = partitionOf(key, world.stack.partitions);
  const pad = 'x'.repeat(bytes);
  const ticks = Array.from({ length: count }, () => {
    return { topic: 'ticks', key, value: JSON.stringify({ n: numberOf(world), pad }), partition };
  });
  await produce(world, ticks);
}

/**
 * For some seconds the brokers refuse every event of the ledger, as they do where an authorisation is lost or a clock is
 * wrong: their time stamps are said to be too old.
 */
async function refuse(world: World): Promise<void> {
  const { stack, random, log, signal } = world;
  const topic = 'balance_changed';
  // The stack's brokers stamp records themselves, and so would refuse none.
  const wanted = { 'message.timestamp.type': 'CreateTime', 'message.timestamp.before.max.ms': '0' };
  const ms = random.integer(1_500, 6_000);
  const admin = testKafka(stack.kafka).admin();
  await admin.connect();
  try {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
    });
    const own = (resources[0]?.configEntries ?? [])
      .filter(({ configSource }) => (configSource as number) === ownConfig)
      .map(({ configName, configValue }) => ({ name: configName, value: configValue }));
    const set = (configEntries: { name: string; value: string }[]) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }],
      });
    const kept = own.filter(({ name }) => !(name in wanted));
    await set([...kept, ...Object.entries(wanted).map(([name, value]) => ({ name, value }))]);
    try {
      const old = { key: 'a-stranger', value: null, partition: 0, timestamp: String(Date.now() - 60_000) };
      await until('a broker to refuse', () => isRefused(world, topic, old), 10_000);
      log(`${topic} takes nothing for ${ms} ms`);
      await pause(ms, signal);
    } finally {
      await set(own);
    }
  } finally {
    await admin.disconnect();
  }
}

/** What Kafka says of a configuration that a topic has for itself. */
const ownConfig = 1;

async function isRefused({ stack }: World, topic: string, record: Message): Promise<boolean> {
  const producer = testKafka(stack.kafka).producer({ retry: { retries: 0 } });
  await producer.connect();
  try {
    await producer.send({ topic, messages: [record] });
    return false;
  } catch (error) {
    return /timestamp/i.test(String(error));
  } finally {
    await producer.disconnect();
  }
}

async function produce({ stack }: World, records: readonly Strange[]): Promise<void> {
  const producer = testKafka(stack.kafka).producer({ retry: { retries: 3 } });
  await producer.connect();
  try {
    for (const { topic, ...message } of records) await producer.send({ topic, messages: [message] });
  } finally {
    await producer.disconnect();
  }
}
