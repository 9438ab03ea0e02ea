import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  type DirectReader,
  type Lanes,
  lagsOf,
  openLanes,
  openReader,
  type ReadFault,
  type RecordBatch,
  type RecordSink,
  type TopicPartition,
} from '../../../lib/kafka/index.ts';
import { openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

let kafka: ScratchKafka;
let lanes: Lanes;
let reader: DirectReader;
before(() => {
  kafka = openScratchKafka();
  lanes = openLanes(kafka.connection, { bufferBytes: 10_000_000 });
  reader = openReader(kafka.connection, { maxWaitMs: 100, partitionBytes: 4_096 });
});
after(async () => {
  await reader.close();
  await reader.close();
  await lanes.close();
  await kafka.close();
});

interface Collected extends RecordSink {
  batches: RecordBatch[];
  faults: { fault: ReadFault; offset: number }[];
  values(): string[];
}

function collect(): Collected {
  const batches: RecordBatch[] = [];
  const faults: Collected['faults'] = [];
  return {
    batches,
    faults,
    values: () => batches.flatMap(({ records }) => records.map(({ value }) => value?.toString() ?? '')),
    onBatch: batch => void batches.push(batch),
    onFault: (fault, { offset }) => void faults.push({ fault, offset }),
  };
}

async function write(at: TopicPartition, from: number, to: number): Promise<string[]> {
  const values = Array.from({ length: to - from }, (_, i) => `${from + i}`);
  await Promise.all(values.map(value => lanes.send(at, { key: 'k', value })));
  return values;
}

test('what is assigned is read in order from its offset, each batch reaching to the next', async () => {
  const topic = await kafka.topic(3);
  const written = await Promise.all([0, 1, 2].map(partition => write({ topic, partition }, 0, 1_000)));
  const sinks = [collect(), collect(), collect()];
  for (const [partition, sink] of sinks.entries()) reader.assign({ topic, partition }, partition * 100, sink);
  for (const [partition, sink] of sinks.entries()) {
    await until(`partition ${partition} is read`, () => sink.values().length >= 1_000 - partition * 100);
    assert.deepEqual(sink.values(), written[partition]?.slice(partition * 100));
    let next = partition * 100;
    for (const { records, nextOffset } of sink.batches) {
      assert.equal(records[0]?.offset, next);
      next = nextOffset;
    }
    assert.equal(next, 1_000);
    assert.equal(reader.position({ topic, partition }), 1_000);
    reader.unassign({ topic, partition });
    assert.equal(reader.position({ topic, partition }), undefined);
  }
});

test('a partition out of range and a deleted topic are told to their sinks, and healthy ones go on meanwhile', async () => {
  const healthy = await kafka.topic(2);
  const doomed = await kafka.topic(1);
  await write({ topic: doomed, partition: 0 }, 0, 10);
  const [good, far, gone] = [collect(), collect(), collect()];
  reader.assign({ topic: healthy, partition: 0 }, 0, good);
  reader.assign({ topic: doomed, partition: 0 }, 0, gone);
  await until('the doomed topic is read', () => gone.values().length === 10);
  reader.assign({ topic: healthy, partition: 1 }, 77, far);
  await kafka.remove(doomed);
  const written: string[] = [];
  await until('both faults are told', async () => {
    written.push(...(await write({ topic: healthy, partition: 0 }, written.length, written.length + 5)));
    await until('the healthy partition is read meanwhile', () => good.values().length === written.length, 1_500);
    return far.faults.length > 0 && gone.faults.length > 0;
  });
  assert.deepEqual(far.faults, [{ fault: 'OFFSET_OUT_OF_RANGE', offset: 77 }]);
  assert.deepEqual(gone.faults, [{ fault: 'UNKNOWN_TOPIC_OR_PARTITION', offset: 10 }]);
  assert.deepEqual(good.values(), written);
  assert.deepEqual(good.faults, []);
  assert.equal(reader.position({ topic: doomed, partition: 0 }), undefined);
  reader.unassign({ topic: healthy, partition: 0 });
});

test('assigning again moves a partition; what was under way for the old place is not delivered', async () => {
  const topic = await kafka.topic(1);
  const at = { topic, partition: 0 };
  await write(at, 0, 500);
  const [first, second] = [collect(), collect()];
  reader.assign(at, 0, first);
  await until('some is read', () => first.values().length > 0);
  reader.assign(at, 490, second);
  const soFar = first.batches.length;
  await until('it goes on from the new place', () => second.values().length === 10);
  assert.equal(first.batches.length, soFar);
  assert.equal(second.batches[0]?.records[0]?.offset, 490);
  reader.unassign(at);
});

test('a partition that was taken away gets nothing of the fetch that was under way for it', async () => {
  const topic = await kafka.topic(1);
  const at = { topic, partition: 0 };
  const [first, second] = [collect(), collect()];
  reader.assign(at, 0, first);
  await write(at, 0, 1);
  await until('the first is read', () => first.values().length === 1);
  await until('a fetch waits for the next', () => reader.position(at) === 1);
  reader.assign(at, 1, second);
  await write(at, 1, 2);
  await until('the next is read', () => second.values().length === 1);
  await write(at, 2, 3);
  await until('the one after it is read', () => second.values().length === 2);
  assert.deepEqual(first.values(), ['0']);
  assert.deepEqual(second.values(), ['1', '2']);
  reader.unassign(at);
});

test('a sink may move or drop its partition while it is called', async () => {
  const topic = await kafka.topic(1);
  const at = { topic, partition: 0 };
  await write(at, 0, 20);
  const sink = collect();
  let rounds = 0;
  const moving: RecordSink = {
    onBatch(batch) {
      sink.onBatch(batch);
      if (++rounds < 3) reader.assign(at, 15, moving);
      else reader.unassign(at);
    },
    onFault: sink.onFault,
  };
  reader.assign(at, 0, moving);
  await until('the third round is over', () => rounds === 3);
  assert.deepEqual(
    sink.batches.map(({ records }) => records[0]?.offset),
    [0, 15, 15],
  );
  assert.equal(reader.position(at), undefined);
});

test('a batch that its sink does not take comes again from its beginning, before anything behind it', async () => {
  const topic = await kafka.topic(2);
  const at = { topic, partition: 0 };
  const written = await write(at, 0, 5);
  await write({ topic, partition: 1 }, 0, 3);
  const sink = collect();
  let thrown = 0;
  reader.assign(at, 0, {
    onBatch(batch) {
      if (thrown++ < 3) throw new RangeError('Maximum call stack size exceeded');
      sink.onBatch(batch);
    },
    onFault: sink.onFault,
  });
  const other = collect();
  reader.assign({ topic, partition: 1 }, 0, other);
  await until('the other partition is read', () => other.values().length === 3);
  await until('the batch is taken', () => sink.values().length >= 5);
  written.push(...(await write(at, 5, 8)));
  await until('what lies behind it is read', () => sink.values().length >= 8);
  assert.deepEqual(sink.values(), written);
  assert.deepEqual(sink.faults, []);
  assert.equal(reader.position(at), 8);
  reader.unassign(at);
  reader.unassign({ topic, partition: 1 });
});

test('a sink that never takes a batch stops its partition before it, with a fault; others go on', async () => {
  const topic = await kafka.topic(2);
  await write({ topic, partition: 0 }, 0, 3);
  await write({ topic, partition: 1 }, 0, 3);
  const sink = collect();
  const other = collect();
  let thrown = 0;
  reader.assign({ topic, partition: 0 }, 1, {
    onBatch() {
      thrown++;
      throw new Error('a sink that throws');
    },
    onFault: sink.onFault,
  });
  reader.assign({ topic, partition: 1 }, 0, other);
  await until('the partition is stopped', () => sink.faults.length > 0);
  assert.deepEqual(sink.faults, [{ fault: 'SINK_FAILED', offset: 1 }]);
  assert.equal(reader.position({ topic, partition: 0 }), undefined);
  const tries = thrown;
  await write({ topic, partition: 1 }, 3, 6);
  await until('the other goes on', () => other.values().length === 6);
  assert.equal(thrown, tries);
  reader.unassign({ topic, partition: 1 });
});

test('each fetch says after which leader epoch it goes on: one that the log does not have is not read on', async () => {
  const topic = await kafka.topic(1);
  const at = { topic, partition: 0 };
  await write(at, 0, 10);
  const [known, unknown] = [collect(), collect()];
  reader.assign(at, 5, known, undefined, 0);
  await until('the rest is read', () => known.values().length === 5);
  reader.assign(at, 5, unknown, undefined, 1_000);
  await until('the reader gives it up', () => unknown.faults.length > 0 || unknown.batches.length > 0);
  assert.deepEqual(unknown.faults, [{ fault: 'OFFSET_OUT_OF_RANGE', offset: 5 }]);
  assert.deepEqual(unknown.values(), []);
});

test('a record larger than what is asked for per partition is read all the same', async () => {
  const topic = await kafka.topic(1);
  const at = { topic, partition: 0 };
  await lanes.send(at, { key: 'k', value: 'x'.repeat(500_000) });
  await lanes.send(at, { key: 'k', value: 'behind' });
  const sink = collect();
  reader.assign(at, 0, sink);
  await until('both are read', () => sink.values().length === 2);
  assert.deepEqual(
    sink.values().map(({ length }) => length),
    [500_000, 6],
  );
  reader.unassign(at);
});

for (const codec of ['gzip', 'snappy', 'lz4', 'zstd']) {
  test(`records compressed with ${codec} are read`, async () => {
    const topic = await kafka.topic(1, { 'compression.type': codec });
    const at = { topic, partition: 0 };
    const written: string[] = [];
    for (const size of [1, 100, 70_000, 300_000]) {
      // Repetition and noise: literals, matches near and far, several blocks.
      const noise = Array.from({ length: size / 20 + 1 }, () => Math.random().toString(36).slice(2));
      const value = `${noise.join('')}${'abc'.repeat(size / 6)}${noise.slice(0, 20).join('')}`;
      written.push(value, `${size}`);
      await Promise.all([lanes.send(at, { key: 'k', value }), lanes.send(at, { key: 'k', value: `${size}` })]);
    }
    const sink = collect();
    reader.assign(at, 0, sink);
    await until('all are read', () => sink.values().length + sink.faults.length >= written.length);
    assert.deepEqual(sink.values(), written);
    reader.unassign(at);
  });
}

test('with LogAppendTime every record has the time of its append', async () => {
  const topic = await kafka.topic(1, { 'message.timestamp.type': 'LogAppendTime' });
  const at = { topic, partition: 0 };
  await write(at, 0, 50);
  const sink = collect();
  reader.assign(at, 0, sink);
  await until('all are read', () => sink.values().length === 50);
  const records = sink.batches.flatMap(batch => batch.records);
  for (const { offset, timestampMs } of records) {
    // The broker's index knows append times only: the first record at or after this time must not be a later one.
    assert.ok((await kafka.topics.offsetAt(at, timestampMs)) <= offset);
    assert.ok((await kafka.topics.offsetAt(at, timestampMs + 1)) > offset);
  }
  reader.unassign(at);
});

test('a topic that is created after its assignment is read once it is there', async () => {
  const topic = await kafka.topic(1);
  await kafka.remove(topic);
  const sink = collect();
  const at = { topic, partition: 0 };
  reader.assign(at, 0, sink);
  await kafka.topics.ensure([{ name: topic, partitions: 1, replicationFactor: 1 }]);
  await write(at, 0, 3);
  await until('it is read', () => sink.values().length === 3);
  reader.unassign(at);
  await kafka.remove(topic).catch(() => undefined);
});

test('the lag metric is what the positions are behind, per topic, also with two readers', async () => {
  const topic = await kafka.topic(2);
  await write({ topic, partition: 0 }, 0, 10);
  const other = openReader(kafka.connection, { maxWaitMs: 100, partitionBytes: 4_096 });
  const [a, b] = [collect(), collect()];
  reader.assign({ topic, partition: 0 }, 0, a);
  other.assign({ topic, partition: 1 }, 0, b);
  await until('all is read', () => a.values().length === 10);
  const metrics = await kafka.ops.metrics.metrics();
  assert.match(metrics, new RegExp(`penstock_consumer_lag_records\\{topic="${topic}"\\} 0\n`));
  reader.unassign({ topic, partition: 0 });
  await other.close();
});

test('the lag of a partition is unknown, and not 0, until a broker has told where it ends', async () => {
  const topic = await kafka.topic(2);
  await write({ topic, partition: 0 }, 0, 10);
  const some = openReader(kafka.connection, { maxWaitMs: 100, partitionBytes: 4_096 });
  const lags = () => lagsOf(kafka.ops.metrics).filter(lag => lag.topic === topic);
  some.assign({ topic, partition: 0 }, 0, collect());
  assert.deepEqual(lags(), [{ topic, partition: 0, records: undefined, seconds: undefined }]);
  await until('it is known', () => lags()[0]?.records === 0);
  assert.deepEqual(lags(), [{ topic, partition: 0, records: 0, seconds: 0 }]);
  await some.close();
  assert.deepEqual(lags(), []);
});

test('a paused partition keeps its position and its lag, and goes on from there', async () => {
  const topic = await kafka.topic(1);
  const at = { topic, partition: 0 };
  // a broker never sends less than one of these batches
  for (let from = 0; from < 100; from += 20) await write(at, from, from + 20);
  const some = openReader(kafka.connection, { maxWaitMs: 20, partitionBytes: 200 });
  const sink = collect();
  some.assign(at, 0, {
    ...sink,
    onBatch(batch) {
      sink.onBatch(batch);
      if (sink.values().length < 100) some.pause(at);
    },
  });
  await until('the first is read', () => sink.values().length > 0);
  const lag = 100 - sink.values().length;
  assert.ok(lag > 0);
  assert.equal(some.position(at), 100 - lag);
  const metrics = await kafka.ops.metrics.metrics();
  assert.match(metrics, new RegExp(`penstock_consumer_lag_records\\{topic="${topic}"\\} ${lag}\n`));
  const seconds = async () =>
    Number(
      new RegExp(`penstock_consumer_lag_seconds\\{topic="${topic}"\\} (.*)`).exec(
        await kafka.ops.metrics.metrics(),
      )?.[1],
    );
  const before = await until('it is behind', seconds);
  assert.ok(before < 30);
  await until('it falls further behind', async () => (await seconds()) > before);
  await until('the rest is read, piece by piece', () => {
    some.resume(at);
    return sink.values().length === 100;
  });
  assert.equal(new Set(sink.values()).size, 100);
  assert.equal(await seconds(), 0);
  await some.close();
});
