import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamRecord } from '../../../lib/replay/index.ts';
import { until } from '../../support/until.ts';
import {
  offsetsOf,
  openStreamsOnKafka,
  position,
  request,
  type StreamsOnKafka,
  take,
  valuesOf,
} from './streams-on-kafka.ts';

let world: StreamsOnKafka;
before(() => {
  world = openStreamsOnKafka();
});
after(() => world.close());

const numbered = (key: string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => ({ key, value: `${key}${from + index}` }));

test("an OWN stream has its key's records and nobody else's, from now on, in order", async () => {
  const topic = await world.kafka.topic(2);
  await world.write(topic, 1, numbered('alice', 0, 5));
  const { streams } = world.replica();
  const alice = await streams.open(request(topic, { partitions: [1], key: 'alice' }));
  const nobody = await streams.open(request(topic, { partitions: [1], key: 'nobody' }));
  await world.write(topic, 1, [...numbered('bob', 0, 3), ...numbered('alice', 5, 8), ...numbered('bob', 3, 9)]);
  assert.deepEqual(valuesOf(await take(alice, 3)), ['alice5', 'alice6', 'alice7']);
  await until('the watermarks follow the partition', () => alice.watermark().partitions[0]?.offset === 16);
  assert.equal(nobody.watermark().partitions[0]?.offset, 16);
  assert.ok((nobody.watermark().partitions[0]?.timestampMs ?? 0) > 0);
});

test('a key that is not UTF-8 is nobody’s, whatever it decodes to', async () => {
  const topic = await world.kafka.topic(1);
  const { streams } = world.replica();
  const stream = await streams.open(request(topic, { key: '\ufffd', start: { kind: 'earliest' } }));
  await world.write(topic, 0, [{ key: Buffer.from([0xff]) }, { key: null }, { key: '\ufffd', value: 'mine' }]);
  assert.deepEqual(valuesOf(await take(stream, 1)), ['mine']);
});

test('a cursor goes on at the next record, on any replica, wherever it stopped', async () => {
  const topic = await world.kafka.topic(1);
  await world.write(topic, 0, [...numbered('alice', 0, 10), ...numbered('bob', 0, 10), ...numbered('alice', 10, 20)]);
  const [one, other] = [world.replica(), world.replica()];
  for (const key of ['alice', undefined]) {
    const everything = await one.streams.open(request(topic, { key, start: { kind: 'earliest' } }));
    const count = key === undefined ? 30 : 20;
    const records: StreamRecord[] = [];
    const cursors = [everything.watermark()];
    while (records.length < count) {
      for (const record of (await everything.next()) ?? []) {
        records.push(record);
        cursors.push(everything.advance(record));
      }
    }
    for (const [passed, cursor] of cursors.entries()) {
      const again = await other.streams.open(request(topic, { key, start: { kind: 'position', position: cursor } }));
      assert.deepEqual(offsetsOf(await take(again, count - passed)), offsetsOf(records.slice(passed)));
      again.close();
    }
    everything.close();
  }
  assert.equal(await other.metric('penstock_replay_resumed_total', { tier: 'memory' }), 0);
});

test('a stream starts at a time, at the beginning, or behind what a partly known position says', async () => {
  const topic = await world.kafka.topic(2);
  await world.write(topic, 0, numbered('a', 0, 3));
  const { streams } = world.replica();
  const all = await streams.open(request(topic, { partitions: [0, 1], start: { kind: 'earliest' } }));
  const [, second] = await take(all, 3);
  await until('time goes on', () => Date.now() > (second?.record.timestampMs ?? 0) + 5);
  const timestampMs = Date.now();
  await world.write(topic, 0, numbered('b', 0, 2));
  await world.write(topic, 1, numbered('c', 0, 2));
  const late = await streams.open(request(topic, { partitions: [0, 1], start: { kind: 'time', timestampMs } }));
  assert.deepEqual(valuesOf(await take(late, 4)).sort(), ['b0', 'b1', 'c0', 'c1']);
  const grown = await streams.open(
    request(topic, { partitions: [0, 1], start: { kind: 'position', position: position(topic, [0, 3]) } }),
  );
  assert.deepEqual(valuesOf(await take(grown, 3)).sort(), ['b1', 'c0', 'c1']);
});

test('an ALL stream has every record of every partition, in order within each', async () => {
  const topic = await world.kafka.topic(3);
  const { streams } = world.replica();
  const before = await streams.open(request(topic, { partitions: [0, 1, 2] }));
  await Promise.all([0, 1, 2].map(partition => world.write(topic, partition, numbered(`p${partition}-`, 0, 200))));
  const after = await streams.open(request(topic, { partitions: [0, 1, 2], start: { kind: 'earliest' } }));
  for (const stream of [before, after]) {
    const records = await take(stream, 600);
    for (const partition of [0, 1, 2]) {
      const of = records.filter(({ record }) => record.partition === partition);
      assert.deepEqual(
        offsetsOf(of),
        Array.from({ length: 200 }, (_, offset) => offset),
      );
    }
    assert.deepEqual(
      stream.watermark().partitions.map(({ offset }) => offset),
      [199, 199, 199],
    );
  }
});

test('what repeats a sequence is dropped, also behind a cursor', async () => {
  const topic = await world.kafka.topic(1);
  const { streams } = world.replica();
  const own = await streams.open(request(topic, { key: 'a' }));
  const all = await streams.open(request(topic));
  await world.write(topic, 0, [
    ...[1, 2, 3].map(sequence => ({ key: 'a', sequence })),
    ...[1, 2, 3].map(sequence => ({ key: 'b', sequence })),
    ...[2, 3, 4].map(sequence => ({ key: 'a', sequence })),
  ]);
  assert.deepEqual(offsetsOf(await take(own, 4)), [0, 1, 2, 8]);
  assert.deepEqual(offsetsOf(await take(all, 7)), [0, 1, 2, 3, 4, 5, 8]);
  const seen = { ...position(topic, [0, 2]), sequences: { [topic]: 3 } };
  const again = await streams.open(request(topic, { key: 'a', start: { kind: 'position', position: seen } }));
  assert.deepEqual(offsetsOf(await take(again, 1)), [8]);
  const now = await streams.open(request(topic, { key: 'a' }));
  assert.deepEqual(now.watermark().sequences, { [topic]: 4 });
});

test('a slow taker gets everything, while what waits for it stays within its budget', async () => {
  const topic = await world.kafka.topic(1);
  const { streams } = world.replica();
  const value = 'x'.repeat(1_000);
  const slow = await streams.open(request(topic, { bufferBytes: 20_000 }));
  const records: StreamRecord[] = [];
  for (let round = 0; round < 10; round += 1) {
    await world.write(
      topic,
      0,
      Array.from({ length: 100 }, () => ({ key: 'k', value })),
    );
    const taken = await slow.next();
    assert.ok(taken !== undefined && taken.length <= 20, `${taken?.length} records at once`);
    for (const record of taken) slow.advance(record);
    records.push(...taken);
  }
  records.push(...(await take(slow, 1_000 - records.length)));
  assert.deepEqual(
    offsetsOf(records),
    Array.from({ length: 1_000 }, (_, offset) => offset),
  );
  await world.write(topic, 0, [{ key: 'k', value: 'live again' }]);
  assert.deepEqual(valuesOf(await take(slow, 1)), ['live again']);
});

test('what a slow taker has in hand counts in its budget, as what waits for it', async () => {
  const topic = await world.kafka.topic(1);
  const { streams } = world.replica();
  const bufferBytes = 20_000;
  const slow = await streams.open(request(topic, { bufferBytes }));
  const quick = await streams.open(request(topic));
  const write = async (count: number) => {
    const value = 'x'.repeat(1_000);
    await world.write(
      topic,
      0,
      Array.from({ length: count }, () => ({ key: 'k', value })),
    );
    await take(quick, count);
  };
  await write(10);
  const inHand = (await slow.next()) ?? [];
  await write(100);
  // Without I/O in between: no replay can bring more meanwhile.
  const waited = [...((await slow.next()) ?? []), ...((await slow.next()) ?? [])];
  const bytes = [...inHand, ...waited].reduce((sum, { record }) => sum + (record.value?.length ?? 0), 0);
  assert.ok(bytes > bufferBytes / 2 && bytes <= bufferBytes, `${bytes} bytes`);
  for (const record of [...inHand, ...waited]) slow.advance(record);
  await take(slow, 110 - inHand.length - waited.length);
});

test('records that wait keep their own bytes, not those of the batches that they came with', async () => {
  const topic = await world.kafka.topic(1);
  const { streams, metric } = world.replica();
  const sparse = Array.from({ length: 200 }, (_, index) => [
    { key: 'sparse', value: `sparse-${index}`, sequence: index },
    { key: 'dense', value: 'x'.repeat(10_000) },
  ]);
  await world.write(topic, 0, sparse.flat());
  const stream = await streams.open(request(topic, { key: 'sparse', start: { kind: 'earliest' } }));
  await until('the log is read', async () => (await metric('penstock_replay_scanned_bytes_total')) > 200 * 10_000);
  const records = await take(stream, 200);
  assert.deepEqual(
    records.map(({ record }) => [`${record.key}`, `${record.value}`, `${record.headers.ce_keysequence}`]),
    sparse.map((_, index) => ['sparse', `sparse-${index}`, `${index}`]),
  );
  const buffers = new Set(records.flatMap(({ record }) => [record.key?.buffer, record.value?.buffer]));
  const keptBytes = [...buffers].reduce((sum, buffer) => sum + (buffer?.byteLength ?? 0), 0);
  assert.ok(keptBytes < 1_000_000, `200 short records keep ${keptBytes} bytes`);
});

test('a thousand clients that resume at different cursors of a partition cost about one read of the log', async () => {
  const topic = await world.kafka.topic(1);
  const value = 'x'.repeat(500);
  const [records, clients, keys] = [2_000, 1_000, 100];
  const keyOf = (offset: number) => `k${offset % keys}`;
  await world.write(
    topic,
    0,
    Array.from({ length: records }, (_, offset) => ({ key: keyOf(offset), value })),
  );
  const { streams, metric } = world.replica({ concurrency: 2 });
  await Promise.all(
    Array.from({ length: clients }, async (_, i) => {
      const from = i * 2;
      const start = { kind: 'position', position: position(topic, [0, from - 1]) } as const;
      const stream = await streams.open(request(topic, { key: keyOf(i), start }));
      const missed = Array.from({ length: records }, (_, offset) => offset).filter(
        offset => offset >= from && offset % keys === i % keys,
      );
      assert.deepEqual(offsetsOf(await take(stream, missed.length)), missed);
    }),
  );
  const logBytes = records * (500 + 160 + 3);
  const reads = (await metric('penstock_replay_scanned_bytes_total')) / logBytes;
  assert.ok(reads < 2, `the log was read ${reads.toFixed(2)} times for ${clients} clients`);
});

test('a stream that would have to wait behind too many replays ends with the limit that refuses it', async () => {
  const topic = await world.kafka.topic(1);
  await world.write(topic, 0, numbered('alice', 0, 3));
  const { streams } = world.replica({ concurrency: 0, maxWaiting: 0 });
  const stream = await streams.open(request(topic, { key: 'alice', start: { kind: 'earliest' } }));
  await assert.rejects(stream.next(), {
    code: 'LIMIT_EXCEEDED',
    extensions: { limit: 'PENSTOCK_REPLAY_MAX_WAITING' },
  });
});

test('an ALL stream that is far behind in many partitions reads the log once, however slow its taker', async () => {
  const [partitions, rounds, batch, sizeBytes] = [12, 16, 5, 10_000];
  const topic = await world.kafka.topic(partitions);
  const all = Array.from({ length: partitions }, (_, partition) => partition);
  const written = Array.from({ length: batch }, () => ({ key: 'k', value: 'x'.repeat(sizeBytes) }));
  for (let round = 0; round < rounds; round += 1) {
    await Promise.all(all.map(partition => world.write(topic, partition, written)));
  }
  const { streams, metric } = world.replica({ concurrency: 12 });
  const stream = await streams.open(request(topic, { partitions: all, start: { kind: 'earliest' } }));
  const taken: StreamRecord[] = [];
  while (taken.length < partitions * rounds * batch) {
    const some = (await stream.next()) ?? [];
    await sleep(20);
    for (const record of some) stream.advance(record);
    taken.push(...some);
  }
  for (const partition of all) {
    assert.deepEqual(
      offsetsOf(taken.filter(({ record }) => record.partition === partition)),
      Array.from({ length: rounds * batch }, (_, offset) => offset),
    );
  }
  const logBytes = partitions * rounds * batch * sizeBytes;
  const reads = (await metric('penstock_replay_scanned_bytes_total')) / logBytes;
  assert.ok(reads < 1.2, `the log was read ${reads.toFixed(2)} times`);
});

test('a held partition answers from memory', async () => {
  const topic = await world.kafka.topic(1);
  const { streams, metric } = world.replica({ ringBytes: 1_000_000 });
  await streams.hold(topic, 0);
  const live = await streams.open(request(topic));
  await world.write(topic, 0, numbered('k', 0, 50));
  const records = await take(live, 50);
  for (const key of ['k', undefined]) {
    const cursor = position(topic, [0, 10, records[10]?.record.timestampMs]);
    const again = await streams.open(request(topic, { key, start: { kind: 'position', position: cursor } }));
    assert.deepEqual(offsetsOf(await take(again, 39)), offsetsOf(records.slice(11)));
  }
  assert.equal(await metric('penstock_replay_resumed_total', { tier: 'memory' }), 2);
  assert.equal(await metric('penstock_replay_scanned_bytes_total'), 0);
  assert.ok((await metric('penstock_replay_ring_bytes')) > 50 * 100);
  streams.release(topic, 0);
  assert.equal(await metric('penstock_replay_ring_bytes'), 0);
});

test('a tap shows every live record as it comes, repeats too', async () => {
  const topic = await world.kafka.topic(1);
  const { streams } = world.replica();
  await world.write(topic, 0, [{ key: 'a', value: 'before', sequence: 1 }]);
  const seen: string[] = [];
  const stop = await streams.tap(topic, 0, ({ value }) => seen.push(`${value}`));
  await world.write(topic, 0, [
    { key: 'a', value: 'one', sequence: 2 },
    { key: 'a', value: 'again', sequence: 2 },
  ]);
  await until('both are seen', () => seen.length === 2);
  stop();
  assert.deepEqual(seen, ['one', 'again']);
});

test('a closed stream ends, a second close does no harm', async () => {
  const topic = await world.kafka.topic(1);
  const { streams } = world.replica();
  const stream = await streams.open(request(topic));
  const waiting = stream.next();
  stream.close();
  stream.close();
  assert.equal(await waiting, undefined);
  assert.equal(await stream.next(), undefined);
});
