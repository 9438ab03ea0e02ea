import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type DirectReader, type Lanes, openLanes, openReader, type RecordSink } from '../../../lib/kafka/index.ts';
import { type Feed, openFeed } from '../../../services/command-handler/feed.ts';
import type { DeadIntake } from '../../../services/command-handler/types.ts';
import { openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

let kafka: ScratchKafka;
let lanes: Lanes;
before(() => {
  kafka = openScratchKafka();
  lanes = openLanes(kafka.connection, { bufferBytes: 64_000_000, batchBytes: 10_000 });
});
after(async () => {
  await lanes.close();
  await kafka.close();
});

const partitionBytes = 20_000;

async function newTopic(partitions: number): Promise<{ topic: string; topicId: string }> {
  const topic = await kafka.topic(partitions);
  return { topic, topicId: (await kafka.topics.identity(topic))?.topicId ?? '' };
}

function openCounted(bufferBytes: number): { feed: Feed; close(): Promise<void>; most(): number; faults: string[] } {
  const reader = openReader(kafka.connection, { maxWaitMs: 20, partitionBytes });
  const faults: string[] = [];
  let most = 0;
  const feed = openFeed({
    reader,
    bufferBytes,
    sort: (record): DeadIntake => ({
      ...{ kind: 'dead', timestampMs: 0, sizeBytes: 0, exception: '', message: '' },
      at: { topic: record.topic, partition: record.partition, offset: record.offset },
      record,
    }),
    onReady: () => {
      most = Math.max(most, feed.bufferedBytes());
    },
    onFault: fault => void faults.push(fault),
  });
  return { feed, close: () => reader.close(), most: () => most, faults };
}

test('a record is behind until the batch after its own is taken', async () => {
  const { topic, topicId } = await newTopic(1);
  const { feed, close } = openCounted(60_000);
  const seconds = async () =>
    Number(
      new RegExp(`penstock_consumer_lag_seconds\\{topic="${topic}"\\} (.*)`).exec(
        await kafka.ops.metrics.metrics(),
      )?.[1],
    );
  feed.open({ topic, partition: 0, epoch: 9, position: 0, topicId }, 0);
  await lanes.send({ topic, partition: 0 }, { key: 'k', value: 'x' });
  await until('it is read', () => feed.bufferedBytes() > 0);
  await until('it waits', async () => (await seconds()) > 0);
  assert.ok(feed.take(10) !== undefined);
  await until('it is under way', async () => (await seconds()) > 0);
  assert.equal(feed.take(10), undefined);
  assert.equal(await seconds(), 0);
  await close();
});

test('records are taken in order, each once, though reading stops while too many bytes wait', async () => {
  const { topic, topicId } = await newTopic(3);
  const perPartition = 150;
  for (let n = 0; n < perPartition; n++) {
    for (let partition = 0; partition < 3; partition++)
      void lanes.send({ topic, partition }, { key: 'k', value: 'x'.repeat(1_000) });
  }
  await until('all is produced', async () => {
    const ends = await kafka.topics.offsets(topic, [0, 1, 2]);
    return [...ends.values()].every(({ end }) => end === perPartition);
  });
  const bufferBytes = 60_000;
  const { feed, close, most } = openCounted(bufferBytes);
  for (let partition = 0; partition < 3; partition++)
    feed.open({ topic, partition, epoch: 9, position: 0, topicId }, 0);
  const positions = [0, 0, 0];
  await until('a full buffer', () => feed.bufferedBytes() >= bufferBytes);
  await until('all is taken', () => {
    const batch = feed.take(17);
    assert.ok((batch ?? []).reduce((sum, { intakes }) => sum + intakes.length, 0) <= 17);
    for (const { partition, epoch, fromOffset, toOffset, intakes } of batch ?? []) {
      assert.equal(epoch, 9);
      assert.equal(fromOffset, positions[partition]);
      assert.deepEqual(
        intakes.map(({ at }) => at.offset),
        intakes.map((_, index) => fromOffset + index),
      );
      assert.equal(toOffset, fromOffset + intakes.length);
      positions[partition] = toOffset;
    }
    return positions.every(position => position === perPartition);
  });
  assert.ok(most() <= bufferBytes + 3 * 2 * partitionBytes, `at most ${most()} bytes waited`);
  assert.equal(feed.bufferedBytes(), 0);
  await close();
});

test('a batch is shared fairly: a full partition leaves room for the others', async () => {
  const { topic, topicId } = await newTopic(2);
  await Promise.all(Array.from({ length: 50 }, () => lanes.send({ topic, partition: 0 }, { key: 'k', value: '1' })));
  await Promise.all(Array.from({ length: 3 }, () => lanes.send({ topic, partition: 1 }, { key: 'k', value: '1' })));
  const { feed, close } = openCounted(1_000_000);
  for (const partition of [0, 1]) feed.open({ topic, partition, epoch: 1, position: 0, topicId }, 0);
  await until('53 records wait', () => feed.bufferedBytes() >= 53 * 512);
  const sizes = new Map((feed.take(20) ?? []).map(({ partition, intakes }) => [partition, intakes.length]));
  assert.equal(sizes.get(1), 3);
  assert.ok((sizes.get(0) ?? 0) >= 10);
  await close();
});

test('what was read under an earlier claim is forgotten when the partition is opened again, and when it is closed', async () => {
  const { topic, topicId } = await newTopic(1);
  await Promise.all(Array.from({ length: 5 }, () => lanes.send({ topic, partition: 0 }, { key: 'k', value: '1' })));
  const { feed, close } = openCounted(1_000_000);
  feed.open({ topic, partition: 0, epoch: 1, position: 0, topicId }, 0);
  await until('records wait', () => feed.bufferedBytes() >= 5 * 512);
  feed.open({ topic, partition: 0, epoch: 2, position: 3, topicId }, 3);
  assert.equal(feed.take(10), undefined);
  await until('records wait again', () => feed.bufferedBytes() > 0);
  const [slice] = feed.take(10) ?? [];
  assert.deepEqual([slice?.epoch, slice?.fromOffset, slice?.toOffset], [2, 3, 5]);
  feed.open({ topic, partition: 0, epoch: 3, position: 0, topicId }, 0);
  await until('records wait once more', () => feed.bufferedBytes() > 0);
  feed.close({ topic, partition: 0 });
  assert.deepEqual([feed.take(10), feed.bufferedBytes()], [undefined, 0]);
  await close();
});

test('a position that the log does not reach is a fault, not a jump', async () => {
  const { topic, topicId } = await newTopic(1);
  const { feed, close, faults } = openCounted(1_000_000);
  feed.open({ topic, partition: 0, epoch: 1, position: 100, topicId }, 100);
  await until('the fault', () => faults.length > 0);
  assert.deepEqual(faults, ['OFFSET_OUT_OF_RANGE']);
  await close();
});

test('who was paused for the records of a partition that is then lost is read again', () => {
  const sinks = new Map<number, RecordSink>();
  const paused = new Set<number>();
  const reader: Partial<DirectReader> = {
    assign: ({ partition }, _, sink) => void sinks.set(partition, sink),
    unassign: ({ partition }) => void sinks.delete(partition),
    pause: ({ partition }) => void paused.add(partition),
    resume: ({ partition }) => void paused.delete(partition),
  };
  const feed = openFeed({
    ...{ reader: reader as DirectReader, bufferBytes: 65_536, onReady() {}, onFault() {} },
    sort: ({ topic, partition, offset }): DeadIntake =>
      ({ kind: 'dead', at: { topic, partition, offset } }) as unknown as DeadIntake,
  });
  const at = (partition: number) => ({ topic: 'commands', partition });
  const deliver = (partition: number, count: number) =>
    sinks.get(partition)?.onBatch({
      ...{ ...at(partition), topicId: 'id', nextOffset: count, endOffset: count },
      records: Array.from({ length: count }, (_, offset) => ({
        ...{ ...at(partition), offset, timestampMs: 0, headers: {} },
        ...{ key: Buffer.from('k'), value: Buffer.alloc(500) },
      })),
    });
  for (const partition of [0, 1]) feed.open({ ...at(partition), epoch: 1, position: 0, topicId: 'id' }, 0);
  deliver(0, 150);
  deliver(1, 1);
  assert.deepEqual([...paused], [0, 1]);
  feed.take(10);
  feed.close(at(0));
  assert.ok(!paused.has(1));
});

test('a batch that comes again, and a record that could not be sorted, are taken once', () => {
  let sink: RecordSink | undefined;
  const reader: Partial<DirectReader> = { assign: (_at, _offset, taker) => void (sink = taker), unassign() {} };
  let broken = true;
  const feed = openFeed({
    ...{ reader: reader as DirectReader, bufferBytes: 65_536, onReady() {}, onFault() {} },
    sort({ topic, partition, offset }) {
      if (broken && offset === 2) throw new RangeError('Maximum call stack size exceeded');
      return { kind: 'dead', at: { topic, partition, offset } } as unknown as DeadIntake;
    },
  });
  const at = { topic: 'commands', partition: 0 };
  const batch = (from: number, to: number) => ({
    ...{ ...at, topicId: 'id', nextOffset: to, endOffset: to },
    records: Array.from({ length: to - from }, (_, index) => ({
      ...{ ...at, offset: from + index, timestampMs: 0, headers: {}, key: Buffer.from('k'), value: null },
    })),
  });
  feed.open({ ...at, epoch: 1, position: 0, topicId: 'id' }, 0);
  sink?.onBatch(batch(0, 3));
  sink?.onBatch(batch(0, 4));
  assert.throws(() => feed.take(10));
  broken = false;
  const [slice] = feed.take(10) ?? [];
  assert.deepEqual([slice?.fromOffset, slice?.toOffset], [0, 4]);
  assert.deepEqual(
    slice?.intakes.map(intake => intake.at.offset),
    [0, 1, 2, 3],
  );
  assert.deepEqual([feed.take(10), feed.bufferedBytes()], [undefined, 0]);
});

test('a partition that waits without being read goes on under the leader epoch of what it has kept, so that a truncation is noticed', () => {
  const assigned: { offset: number; epoch: number | undefined }[] = [];
  let sink: RecordSink | undefined;
  const reader: Partial<DirectReader> = {
    assign(_at, offset, taker, _topicId, epoch) {
      sink = taker;
      assigned.push({ offset, epoch });
    },
    unassign() {},
    pause() {},
  };
  let roomy = true;
  const at = { topic: 'commands', partition: 0 };
  for (const [valueBytes, expected] of [
    [500, { offset: 26, epoch: 7 }],
    [40_000, { offset: 10, epoch: 5 }],
  ] as const) {
    const feed = openFeed({
      ...{ reader: reader as DirectReader, bufferBytes: 65_536, onReady() {}, onFault() {}, hasRoom: () => roomy },
      sort: () => ({ kind: 'dead' }) as unknown as DeadIntake,
    });
    feed.open({ ...at, epoch: 1, position: 10, topicId: 'id', leaderEpoch: 5 }, 10);
    sink?.onBatch({
      ...{ ...at, topicId: 'id', nextOffset: 110, endOffset: 110, lastEpoch: 7 },
      records: Array.from({ length: 100 }, (_, index) => ({
        ...{ ...at, offset: 10 + index, timestampMs: 0, headers: {}, leaderEpoch: 7 },
        ...{ key: Buffer.from('k'), value: Buffer.alloc(valueBytes) },
      })),
    });
    roomy = false;
    assert.equal(feed.take(10), undefined);
    roomy = true;
    feed.take(1);
    assert.deepEqual(assigned.at(-1), expected);
  }
});
