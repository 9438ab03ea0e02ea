import kafkajs, { type PartitionMetadata } from 'kafkajs';
import { partitionOf } from '../../../lib/kafka/index.ts';
import { testKafka } from '../../support/dump.ts';
import { until } from '../../support/until.ts';
import { spareTopics } from '../app.ts';
import { SpareReader } from '../spare-reader.ts';
import { pause } from '../whole.ts';
import { judge, range, share, write } from './lost-log.ts';
import { inSync } from './servers.ts';
import type { Fault, World } from './types.ts';

export const uncleanElectionFaults: readonly Fault[] = [{ name: 'unclean-election', inject: electUncleanly }];

const topic = spareTopics.cut;

/** A follower that stands still may yet have what its leader wrote: an answer to its last fetch that was on its way. */
const tries = 3;

async function electUncleanly(world: World): Promise<void> {
  for (let left = tries; left > 0; left -= 1) if ((await cutOnce(world)) || world.signal.aborted) return;
  throw new Error(`no log was cut in ${tries} tries`);
}

/**
 * A partition of a stranger's topic has two copies, of which either may lead. Its follower stands still while 100 records are
 * written; then its leader does, the follower is elected, and 100 others are written at their offsets. Who was given records that
 * are gone is told once and then gets what there is; another user of that partition notices nothing. Returns whether records
 * were lost: where the follower had them all the same, there is nothing to judge.
 */
async function cutOnce(world: World): Promise<boolean> {
  const { stack, random, log, signal } = world;
  const user = `cut-${random.uuid()}`;
  const partition = partitionOf(user, stack.partitions);
  const [bystander = ''] = Array.from({ length: 100 * stack.partitions }, () => `near-${random.uuid()}`).filter(
    name => partitionOf(name, stack.partitions) === partition,
  );
  const staying = new SpareReader(stack.url, user, topic);
  const leaving = new SpareReader(stack.url, user, topic);
  const near = new SpareReader(stack.url, bystander, topic);
  const brokers = await openBrokers(world, partition);
  try {
    await Promise.all([staying.start(), leaving.start(), near.start()]);
    await brokers.place([brokers.leading, brokers.following]);
    for (const name of [user, bystander]) await write(world, topic, name, 1);
    await Promise.all([staying, leaving, near].map(reader => reader.has(share, signal)));

    await brokers.leaveBehind();
    await write(world, topic, user, share + 1, brokers.awake());
    await Promise.all([staying, leaving].map(reader => reader.has(2 * share, signal)));
    await leaving.stop();
    const end = await brokers.endOffset();
    await brokers.elect();
    if ((await brokers.endOffset()) >= end) {
      log('the follower had all records: nothing was cut');
      return false;
    }
    await write(world, topic, user, 2 * share + 1, brokers.awake());
    await write(world, topic, bystander, share + 1, brokers.awake());
    await leaving.start();
    await Promise.all([staying, leaving].map(reader => reader.has(3 * share, signal)));
    await near.has(2 * share, signal);
    await pause(1_000, signal); // for what should not come any more

    log(
      `told ${staying.told}, ${leaving.told} and ${near.told} times; got ${staying.got.length} and ${leaving.got.length}`,
    );
    const survived = [...range(1, share), ...range(2 * share + 1, 3 * share)];
    for (const reader of [staying, leaving]) judge(world, reader, [...range(1, 2 * share), ...survived]);
    judge(world, near, range(1, 2 * share));
    if ((staying.told !== 1 || leaving.told !== 1 || near.told > 0) && !signal.aborted) {
      throw new Error(`told ${staying.told}, ${leaving.told} and ${near.told} times`);
    }
    return true;
  } finally {
    await Promise.all([staying.stop(), leaving.stop(), near.stop()]);
    await brokers.heal();
  }
}

/** Three brokers, drawn at random: the first leads the partition, the second follows, and the third answers questions all along. */
async function openBrokers({ stack, random, log, signal }: World, partition: number) {
  const ids = [1, 2, 3];
  const answering = random.pick(ids);
  const others = ids.filter(id => id !== answering);
  const leading = random.pick(others);
  const following = others.find(id => id !== leading) ?? 0;
  const nameOf = (id: number) => `kafka-${id}`;
  const addressesOf = (chosen: readonly number[]) => stack.kafka.filter((_, index) => chosen.includes(index + 1));
  const asleep = new Set<number>();
  const admin = testKafka(addressesOf([answering]), undefined, 2_000).admin({
    retry: { retries: 5, maxRetryTime: 1_000 },
  });
  await admin.connect();
  const hold = (awaited: string, isSo: (found: PartitionMetadata) => boolean) =>
    until(
      awaited,
      async () => {
        if (signal.aborted) return true;
        // It may have asked one that stands still.
        const found = await admin.fetchTopicMetadata({ topics: [topic] }).catch(() => undefined);
        return found?.topics[0]?.partitions.some(one => one.partitionId === partition && isSo(one)) === true;
      },
      60_000,
    );
  const sleep = (id: number) => {
    log(`SIGSTOP ${nameOf(id)}`);
    stack.pause(nameOf(id));
    asleep.add(id);
  };
  const wake = (id: number) => {
    stack.resume(nameOf(id));
    asleep.delete(id);
  };
  /** Asks again where a broker that stands still was asked. */
  const ask = <Answer>(question: () => Promise<Answer>) =>
    until('a broker that answers', () => question().catch(() => undefined), 60_000);
  const place = async (replicas: number[]) => {
    await admin.alterPartitionReassignments({
      topics: [{ topic, partitionAssignment: [{ partition, replicas }] }],
      timeout: 30_000,
    });
    const isThere = ({ isr, leader }: PartitionMetadata) => isr.length === replicas.length && replicas.includes(leader);
    await hold(`${topic}/${partition} to be on ${replicas.join()}`, isThere);
  };
  const configEntries = [
    { name: 'unclean.leader.election.enable', value: 'true' },
    { name: 'min.insync.replicas', value: '1' },
  ];
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries }],
  });
  return {
    leading,
    following,
    place,
    async endOffset() {
      const offsets = await ask(() => admin.fetchTopicOffsets(topic));
      return Number(offsets.find(found => found.partition === partition)?.high ?? 0);
    },
    awake: () => addressesOf(ids.filter(id => !asleep.has(id))),
    async leaveBehind() {
      // Whichever of the two leads by now.
      const { topics } = await ask(() => admin.fetchTopicMetadata({ topics: [topic] }));
      const led = topics[0]?.partitions.find(found => found.partitionId === partition)?.leader ?? leading;
      this.leading = led;
      this.following = led === leading ? following : leading;
      sleep(this.following);
      await hold('the follower to be out of sync', ({ isr }) => isr.length === 1);
    },
    async elect() {
      sleep(this.leading);
      wake(this.following);
      await hold('the follower to be elected', ({ leader }) => leader === this.following);
      log(`${topic}/${partition} is led by ${nameOf(this.following)}, which lacks records`);
    },
    async heal() {
      for (const id of [...asleep]) wake(id);
      await place(ids).catch((error: unknown) => log(`${error}`));
      await admin.disconnect();
      await inSync({ stack, signal });
    },
  };
}
