import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KafkaUnavailableError, type TopicPartition, type Topics } from '../../../lib/kafka/index.ts';
import { openScans, type ScanClient, type ScanFault } from '../../../lib/replay/scan.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { until } from '../../support/until.ts';
import { recordAt } from './one-partition.ts';

/** Partition 0 answers when it is told to; the others always do. `leaderless.test.ts` does the same with brokers. */
function openTwo(stallTimeoutMs: number) {
  const world = { answers: false, asked: 0 };
  const away = () => new KafkaUnavailableError('topic/0 has no leader');
  const topics: Pick<Topics, 'partitionCount' | 'offsets' | 'fetch'> = {
    partitionCount: async () => 2,
    async offsets(_, partitions) {
      world.asked++;
      if (partitions.includes(0) && !world.answers) throw away();
      return new Map(partitions.map(partition => [partition, { start: 0, end: 3 }]));
    },
    async fetch({ topic, partition }, offset) {
      if (partition === 0 && !world.answers) throw away();
      const records = [0, 1, 2].filter(each => each >= offset).map(each => ({ ...recordAt(each), topic, partition }));
      return { topic, partition, records, nextOffset: 3, endOffset: 3, topicId: '' };
    },
  };
  const ops = quietOps();
  const metrics = { resumed() {}, expired() {}, scanned() {}, scansUnderWay() {} };
  const limits = { concurrency: 1, maxWaiting: 100, stallTimeoutMs };
  return { world, scans: openScans({ topics: topics as Topics, ...limits, metrics, log: ops.log }) };
}

function clientFrom(from: number, done: { reached: number; fault?: ScanFault }): ScanClient {
  return {
    ...{ from, until: 3, key: 'user', expected: undefined },
    scanned(_records, through) {
      done.reached = through.offset;
      return true;
    },
    failed: fault => void (done.fault = fault),
  };
}

const place = (partition: number): TopicPartition => ({ topic: 'topic', partition });

test('a replay whose partition does not answer gives its place to another one, and goes on when it answers', async () => {
  const { world, scans } = openTwo(600_000);
  const [stuck, healthy] = [{ reached: -1 }, { reached: -1 }];
  scans.join(place(0), clientFrom(0, stuck));
  await until('the partition is asked again', () => world.asked > 1);
  scans.join(place(1), clientFrom(0, healthy));
  await until('the other replay is done', () => healthy.reached === 2, 10_000);
  assert.equal(stuck.reached, -1);
  world.answers = true;
  await until('the first one goes on', () => stuck.reached === 2, 10_000);
  scans.close();
});

test('a replay whose partition does not answer for too long tells its client so', async () => {
  const { scans } = openTwo(200);
  const stuck: { reached: number; fault?: ScanFault } = { reached: -1 };
  scans.join(place(0), clientFrom(0, stuck));
  await until('it is told', () => stuck.fault !== undefined, 10_000);
  assert.equal(stuck.fault, 'SILENT');
  scans.close();
});

test('one that joins a replay that has been stuck for a while is given as long as any other', async t => {
  const stallTimeoutMs = 600;
  const { world, scans } = openTwo(stallTimeoutMs);
  t.after(() => scans.close());
  const first: { reached: number; fault?: ScanFault } = { reached: -1 };
  scans.join(place(0), clientFrom(0, first));
  await until('it is stuck', () => world.asked > 2);
  const joinedMs = performance.now();
  const waitedMs = new Promise<number>(resolve => {
    scans.join(place(0), { ...clientFrom(0, { reached: -1 }), failed: () => resolve(performance.now() - joinedMs) });
  });
  await until('the first is told', () => first.fault !== undefined, 10_000);
  assert.ok((await waitedMs) >= stallTimeoutMs);
});
