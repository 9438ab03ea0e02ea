import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { plainEnvironment } from '../../../dev/stack/environment.ts';
import { root } from '../../../dev/stack/options.ts';
import {
  type DirectReader,
  type Lanes,
  openLanes,
  openReader,
  openTopics,
  type ReadFault,
  recordSkip,
  type TopicPartition,
  UnreadableBatchError,
} from '../../../lib/kafka/index.ts';
import { contentOf, kafkaAddress, openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';
import { writeUnreadable } from '../../support/unreadable.ts';
import { until } from '../../support/until.ts';

const run = promisify(execFile);
let kafka: ScratchKafka;
let lanes: Lanes;
let reader: DirectReader;
let plain: ReturnType<typeof openTopics>;
before(() => {
  kafka = openScratchKafka();
  lanes = openLanes(kafka.connection, { bufferBytes: 10_000_000 });
  reader = openReader(kafka.connection, { maxWaitMs: 100, partitionBytes: 65_536 });
  plain = openTopics(kafka.connection, { honourSkips: false });
});
after(async () => {
  await reader?.close();
  await lanes?.close();
  await plain?.close();
  await kafka?.close();
});

const send = (at: TopicPartition, value: string) => lanes.send(at, { key: 'k', value });
const skipAt = (at: TopicPartition, offset: number) =>
  recordSkip({ topics: plain, lanes, replicationFactor: 1 }, at, offset);

/** Reads as a sink that begins anew where it was, after each fault. */
function follow(at: TopicPartition) {
  const values: string[] = [];
  const faults: { fault: ReadFault; offset: number; error: Error | undefined }[] = [];
  const read = (offset: number) =>
    reader.assign(at, offset, {
      onBatch: ({ records }) => void values.push(...records.map(({ value }) => String(value))),
      onFault(fault, { offset }, error) {
        faults.push({ fault, offset, error });
        setTimeout(() => read(offset), 200);
      },
    });
  read(0);
  return { values, faults };
}

async function counted(what: 'skipped' | 'unreadable', topic: string): Promise<number> {
  const metric = await kafka.ops.metrics.getSingleMetric(`penstock_kafka_${what}_batches_total`)?.get();
  return metric?.values.find(({ labels }) => labels.topic === topic)?.value ?? 0;
}

test('a batch that cannot be read stops its reader with an error that names it, until it is skipped: of that topic alone', async () => {
  const topic = await kafka.topic(1);
  const at = { topic, partition: 0 };
  await send(at, 'before');
  await writeUnreadable(at);
  await send(at, 'behind');
  const { values, faults } = follow(at);
  await until('the reader stands', () => faults.length >= 2);
  assert.deepEqual(values, ['before']);
  for (const { fault, offset, error } of faults) {
    assert.deepEqual([fault, offset], ['UNREADABLE', 1]);
    assert.match(
      error?.message ?? '',
      new RegExp(`^offsets 1 to 1 of ${topic}/0 cannot be read: .*npm run skip -- ${topic}/0 1$`),
    );
  }
  const fetched = kafka.topics.fetch(at, 1, 1_000);
  await assert.rejects(fetched, (error: Error) => error instanceof UnreadableBatchError && error.from === 1);

  await assert.rejects(skipAt(at, 0), /offset 0 of .* can be read, or is not in the log: nothing is skipped/);
  await assert.rejects(skipAt(at, 7), /nothing is skipped/);
  await assert.rejects(skipAt({ topic, partition: 3 }, 0), /does not exist/);
  assert.ok((await counted('unreadable', topic)) >= 3);
  assert.equal(await counted('skipped', topic), 0);
  const { from, to } = await skipAt(at, 1);
  assert.deepEqual([from, to], [1, 2]);

  await until('the reader goes on', () => values.length === 2);
  assert.deepEqual(values, ['before', 'behind']);
  assert.deepEqual(await contentOf(kafka.topics, at), ['before', 'behind']);
  assert.ok((await counted('skipped', topic)) >= 2);
  reader.unassign(at);

  await kafka.remove(topic);
  await kafka.topics.ensure([{ name: topic, partitions: 1, replicationFactor: 1 }]);
  await send(at, 'another log');
  await writeUnreadable(at);
  await assert.rejects(kafka.topics.fetch(at, 1, 1_000), UnreadableBatchError);
  await kafka.remove(topic);
});

test('npm run skip says what it skips, and refuses what can be read in one line', async () => {
  const topic = await kafka.topic(1);
  const at = { topic, partition: 0 };
  await writeUnreadable(at);
  await send(at, 'behind');
  const env = { ...plainEnvironment(process.env), PENSTOCK_KAFKA_BROKERS: kafkaAddress() };
  const skip = (...args: string[]) => run(process.execPath, ['dev/skip.ts', ...args], { cwd: root, env });
  await assert.rejects(skip(topic, '0'), { code: 1, stderr: 'usage: npm run skip -- <topic>/<partition> <offset>\n' });
  await assert.rejects(skip(`${topic}/0`, '1'), {
    code: 1,
    stderr: `offset 1 of ${topic}/0 can be read, or is not in the log: nothing is skipped\n`,
  });
  const { stdout } = await skip(`${topic}/0`, '0');
  assert.match(stdout, new RegExp(`^offsets 0 to 0 of ${topic}/0 are skipped: .*\n$`));
  assert.deepEqual(await contentOf(kafka.topics, at), ['behind']);
});
