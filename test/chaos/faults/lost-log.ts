import { Redis } from 'ioredis';
import { partitionOf } from '../../../lib/kafka/index.ts';
import { testKafka } from '../../support/dump.ts';
import { until } from '../../support/until.ts';
import { type SpareTopic, spareTopics } from '../app.ts';
import { SpareReader } from '../spare-reader.ts';
import { backUp, pause } from '../whole.ts';
import type { Fault, World } from './types.ts';

/** Records that nobody can give back. Readers of their own must be told, and then get all that is left, each record once. */
export const lostLogFaults: readonly Fault[] = [
  { name: 'retention-passes-cursor', inject: passCursor },
  { name: 'topic-made-anew', inject: makeAnew },
];

export const share = 100;

/**
 * A reader goes away behind its first 100 records; 200 more are written, and the log forgets the first half of those. The buffer
 * of recent records is taken away too (Redis's part, and the owner's memory with the owner), else it would serve them.
 */
async function passCursor(world: World): Promise<void> {
  const { stack, random, log, signal } = world;
  const topic = spareTopics.fading;
  const user = `fading-${random.uuid()}`;
  const partition = partitionOf(user, stack.partitions);
  const staying = new SpareReader(stack.url, user, topic);
  const leaving = new SpareReader(stack.url, user, topic);
  try {
    await Promise.all([staying.start(), leaving.start()]);
    await write(world, topic, user, 1);
    await Promise.all([staying.has(share, signal), leaving.has(share, signal)]);
    await leaving.stop();
    await write(world, topic, user, share + 1);
    const offset = await write(world, topic, user, 2 * share + 1);
    await staying.has(3 * share, signal);
    await forget(world, topic, partition, offset);
    await takeBuffer(world, topic, partition);
    await leaving.start();
    await leaving.has(3 * share, signal);
    await pause(1_000, signal); // for what should not come any more
    log(`told ${leaving.told} times; got ${leaving.got.length} of ${3 * share}`);
    judge(world, staying, range(1, 3 * share));
    judge(world, leaving, [...range(1, share), ...range(2 * share + 1, 3 * share)]);
    if ((leaving.told !== 1 || staying.told > 0) && !signal.aborted)
      throw new Error(`told ${leaving.told} and ${staying.told} times`);
  } finally {
    await Promise.all([staying.stop(), leaving.stop()]);
  }
}

/** The topic is deleted and made again under a live reader and one that is away; then the new one reaches the old offsets. */
async function makeAnew(world: World): Promise<void> {
  const { stack, random, log, signal } = world;
  const topic = spareTopics.reborn;
  const user = `reborn-${random.uuid()}`;
  const staying = new SpareReader(stack.url, user, topic);
  const leaving = new SpareReader(stack.url, user, topic);
  try {
    await Promise.all([staying.start(), leaving.start()]);
    await write(world, topic, user, 1);
    await Promise.all([staying.has(share, signal), leaving.has(share, signal)]);
    await leaving.stop();
    await recreate(world, topic);
    await write(world, topic, user, share + 1);
    await leaving.start();
    await Promise.all([staying.has(2 * share, signal), leaving.has(2 * share, signal)]);
    await pause(1_000, signal);
    log(`the one that was away was told ${leaving.told} times, the one that stayed ${staying.told}`);
    judge(world, staying, range(1, 2 * share));
    judge(world, leaving, range(1, 2 * share));
    if (leaving.told !== 1 && !signal.aborted) throw new Error(`the one that was away was told ${leaving.told} times`);
  } finally {
    await Promise.all([staying.stop(), leaving.stop()]);
  }
}

export const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** `share` records with rising numbers, in one request. @param brokers which answer. @returns the first one's offset. */
export async function write(
  { stack }: World,
  topic: SpareTopic,
  user: string,
  first: number,
  brokers: readonly string[] = stack.kafka,
): Promise<number> {
  const producer = testKafka(brokers, undefined, 3_000).producer({ retry: { retries: 20 } });
  await producer.connect();
  try {
    const [answer] = await producer.send({
      topic,
      messages: range(first, first + share - 1).map(n => ({
        key: user,
        value: JSON.stringify({ n }),
        partition: partitionOf(user, stack.partitions),
      })),
    });
    return Number(answer?.baseOffset);
  } finally {
    await producer.disconnect();
  }
}

async function forget({ stack, log }: World, topic: SpareTopic, partition: number, offset: number): Promise<void> {
  const admin = testKafka(stack.kafka).admin();
  await admin.connect();
  try {
    await admin.fetchTopicOffsets(topic); // kafkajs knows a topic's leaders only then
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] });
    log(`${topic}/${partition} begins at ${offset}`);
  } finally {
    await admin.disconnect();
  }
}

async function takeBuffer({ stack, log, signal }: World, topic: SpareTopic, partition: number): Promise<void> {
  const redis = new Redis(stack.redis);
  try {
    const address = await redis.hget(`penstock:{penstock-gateway/${partition}}:owner`, 'address');
    const owner = stack.processes().find(({ url }) => url === address);
    const keys = (await redis.keys('*')).filter(key => key.includes(`{${topic}/${partition}}`));
    if (keys.length > 0) await redis.unlink(...keys);
    log(`${keys.length} keys of its buffer are gone, and ${owner?.name}`);
    if (owner !== undefined) await backUp(stack, owner.name, stack.kill(owner.name), signal);
  } finally {
    redis.disconnect();
  }
}

async function recreate({ stack, log, signal }: World, topic: SpareTopic): Promise<void> {
  const admin = testKafka(stack.kafka).admin();
  await admin.connect();
  try {
    await admin.deleteTopics({ topics: [topic] });
    await until(
      'the topic to be gone',
      async () => signal.aborted || !(await admin.listTopics()).includes(topic),
      30_000,
    );
    await until(
      'the topic to be there again',
      () =>
        admin
          .createTopics({
            topics: [{ topic, numPartitions: stack.partitions, replicationFactor: stack.kafka.length }],
            waitForLeaders: true,
          })
          .then(
            () => true,
            () => signal.aborted,
          ),
      30_000,
    );
    log(`${topic} was made anew`);
  } finally {
    await admin.disconnect();
  }
}

export function judge({ signal }: World, { user, got, failures }: SpareReader, wanted: readonly number[]): void {
  if (signal.aborted) return;
  if (failures.length > 0) throw new Error(`${user} ended with ${failures.join()}`);
  const differs = wanted.findIndex((n, index) => got[index] !== n);
  if (differs >= 0 || got.length !== wanted.length) {
    throw new Error(
      `${user} got ${got.length} records instead of ${wanted.length}; first difference at ${differs}: ${got.slice(Math.max(0, differs - 2), differs + 3)}`,
    );
  }
}
