import type kafkajs from 'kafkajs';
import { testKafka } from './dump.ts';
import type { ScratchBrokers } from './scratch-brokers.ts';
import { until } from './until.ts';

/** Three brokers, and topics with copies on the first two of which either may lead although it lacks records. */
export interface UncleanElections {
  /** The first broker leads every partition; the topic belongs to a stranger who takes records over their durability. */
  topic(name: string, partitions?: number): Promise<void>;
  /** From here on only the first broker has what is written. */
  leaveBehind(): Promise<void>;
  /** What was written since {@link leaveBehind} is lost: the second broker leads, and the first comes back as its follower. */
  elect(): Promise<void>;
  close(): Promise<void>;
}

const [leading, following] = [1, 2];
const patienceMs = 120_000;

export async function openUncleanElections(brokers: ScratchBrokers): Promise<UncleanElections> {
  const admin = testKafka(brokers.addresses).admin({ retry: { retries: 10 } });
  await admin.connect();
  const topics: string[] = [];

  async function hold(
    awaited: string,
    isSo: (partition: kafkajs.PartitionMetadata) => boolean,
    only: readonly string[] = topics,
  ): Promise<void> {
    await until(
      awaited,
      async () => {
        const found = await admin.fetchTopicMetadata({ topics: [...only] }).catch(() => undefined);
        return found?.topics.every(({ partitions }) => partitions.every(isSo)) === true;
      },
      patienceMs,
    );
  }

  const isWhole = ({ leader, isr }: kafkajs.PartitionMetadata) => leader === leading && isr.length === 2;

  return {
    async topic(name, partitions = 1) {
      await admin.createTopics({
        waitForLeaders: false, // a broker may not know the topic yet when it is asked
        topics: [
          {
            topic: name,
            replicaAssignment: Array.from({ length: partitions }, (_, partition) => ({
              partition,
              replicas: [leading, following],
            })),
            configEntries: [
              { name: 'unclean.leader.election.enable', value: 'true' },
              { name: 'min.insync.replicas', value: '1' },
            ],
          },
        ],
      });
      await hold(`${name} to have its copies`, isWhole, [name]);
      topics.push(name);
    },
    async leaveBehind() {
      await hold('both copies to be in sync', isWhole);
      await brokers.kill(following);
      await hold('the follower to be out of sync', ({ isr }) => isr.length === 1 && isr[0] === leading);
    },
    async elect() {
      await brokers.kill(leading);
      brokers.start(following);
      await hold('the follower to be elected', ({ leader }) => leader === following);
      brokers.start(leading);
    },
    close: () => admin.disconnect(),
  };
}
