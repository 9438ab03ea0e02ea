import { partitionOf } from '../../../lib/kafka/index.ts';
import { testKafka } from '../../support/dump.ts';
import type { Fault, World } from './types.ts';

/** Nobody else's ticks have such numbers. */
const numberOf = (world: World) => world.random.integer(3_000_000_000, 4_200_000_000);

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
];

async function produce({ stack }: World, records: readonly Strange[]): Promise<void> {
  const producer = testKafka(stack.kafka).producer({ retry: { retries: 3 } });
  await producer.connect();
  try {
    for (const { topic, ...message } of records) await producer.send({ topic, messages: [message] });
  } finally {
    await producer.disconnect();
  }
}
