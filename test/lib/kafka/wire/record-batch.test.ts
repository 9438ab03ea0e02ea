import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { UnreadableBatchError } from '../../../../lib/kafka/errors.ts';
import { crc32c } from '../../../../lib/kafka/wire/crc32c.ts';
import {
  batchOverheadBytes,
  decodeRecords,
  encodeBatch,
  type SizedRecord,
  sizeOf,
} from '../../../../lib/kafka/wire/record-batch.ts';

const at = { topic: 't', partition: 7 };
const stamp = { producerId: 5n, producerEpoch: 1, baseSequence: 9 };

const bytes = fc.uint8Array({ maxLength: 300 }).map(raw => Buffer.from(raw));
const outgoing = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.dictionary(
    fc.string({ maxLength: 20 }).filter(name => name !== '__proto__'),
    bytes,
    { maxKeys: 4 },
  ),
});
const sized: fc.Arbitrary<SizedRecord> = fc
  .tuple(outgoing, fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }))
  .map(([record, timestampMs]) => ({ record, timestampMs, sizeBytes: sizeOf(record) }));

/** As the broker does it: offsets, and the time of the append. */
function append(batch: Buffer, baseOffset: number, appendTimeMs?: number): Buffer {
  const stored = Buffer.from(batch);
  stored.writeBigInt64BE(BigInt(baseOffset), 0);
  if (appendTimeMs !== undefined) {
    stored.writeInt16BE(stored.readInt16BE(21) | 0x08, 21);
    stored.writeBigInt64BE(BigInt(appendTimeMs), 35);
    stored.writeUInt32BE(crc32c(stored, 21), 17);
  }
  return stored;
}

test('a batch that is written is read back, record by record', () => {
  fc.assert(
    fc.property(fc.array(sized, { minLength: 1, maxLength: 20 }), fc.nat(2 ** 40), (records, baseOffset) => {
      const batch = encodeBatch(records, stamp);
      assert.ok(batch.length <= records.reduce((sum, { sizeBytes }) => sum + sizeBytes, batchOverheadBytes));
      const { records: found, nextOffset } = decodeRecords(at, baseOffset, append(batch, baseOffset));
      assert.equal(nextOffset, baseOffset + records.length);
      assert.deepEqual(
        found,
        records.map(({ record, timestampMs }, index) => ({
          ...at,
          offset: baseOffset + index,
          timestampMs,
          timestampType: 'CreateTime',
          leaderEpoch: -1,
          key: record.key,
          value: record.value,
          headers: { ...record.headers },
        })),
      );
    }),
  );
});

const records = (count: number): SizedRecord[] =>
  Array.from({ length: count }, (_, i) => ({
    record: { key: `k${i}`, value: `v${i}` },
    timestampMs: 1_700_000_000_000 + i,
    sizeBytes: 0,
  }));

test('every record of a LogAppendTime batch has the append time', () => {
  const stored = append(encodeBatch(records(3), stamp), 10, 1_700_000_555_000);
  const { records: found } = decodeRecords(at, 10, stored);
  assert.deepEqual(
    found.map(({ timestampMs }) => timestampMs),
    [1_700_000_555_000, 1_700_000_555_000, 1_700_000_555_000],
  );
});

test('records before the offset asked for are left out, a cut-off tail is ignored', () => {
  const first = append(encodeBatch(records(3), stamp), 10);
  const second = append(encodeBatch(records(2), stamp), 13);
  const third = append(encodeBatch(records(2), stamp), 15);
  const { records: found, nextOffset } = decodeRecords(
    at,
    12,
    Buffer.concat([first, second, third.subarray(0, third.length - 1)]),
  );
  assert.deepEqual(
    found.map(({ offset }) => offset),
    [12, 13, 14],
  );
  assert.equal(nextOffset, 15);
});

test('control records are skipped, and the offset moves past them', () => {
  const control = append(encodeBatch(records(1), stamp), 4);
  control.writeInt16BE(0x20 | 0x10, 21);
  const { records: found, nextOffset } = decodeRecords(at, 4, control);
  assert.deepEqual(found, []);
  assert.equal(nextOffset, 5);
});

/** A batch of a transaction, as it stands in the log. */
function transactional(producerId: bigint, baseOffset: number, count: number): Buffer {
  const batch = append(encodeBatch(records(count), { ...stamp, producerId }), baseOffset);
  batch.writeInt16BE(0x10, 21);
  batch.writeInt32BE(3, 12); // leader epoch
  return batch;
}

/** The marker that ends a transaction. */
function marker(producerId: bigint, offset: number, type: 'abort' | 'commit'): Buffer {
  const key = Buffer.from([0, 0, 0, type === 'abort' ? 0 : 1]);
  const record: SizedRecord = { record: { key, value: null }, timestampMs: 1, sizeBytes: 0 };
  const batch = append(encodeBatch([record], { ...stamp, producerId }), offset);
  batch.writeInt16BE(0x20 | 0x10, 21);
  return batch;
}

test('records of an aborted transaction are left out, up to its marker, also when the fetch begins inside it', () => {
  const log = Buffer.concat([
    transactional(1n, 0, 2),
    transactional(2n, 2, 2),
    transactional(1n, 4, 1),
    marker(1n, 5, 'abort'),
    transactional(1n, 6, 1),
    marker(2n, 7, 'commit'),
    marker(1n, 8, 'commit'),
    transactional(1n, 9, 1),
    marker(1n, 10, 'abort'),
  ]);
  const aborted = [
    { producerId: 1n, firstOffset: 9 },
    { producerId: 1n, firstOffset: 0 },
  ];
  const whole = decodeRecords(at, 0, log, aborted);
  assert.deepEqual(
    whole.records.map(({ offset, leaderEpoch }) => [offset, leaderEpoch]),
    [2, 3, 6].map(offset => [offset, 3]),
  );
  assert.equal(whole.nextOffset, 11);
  const inside = decodeRecords(at, 1, log, aborted);
  assert.deepEqual(
    inside.records.map(({ offset }) => offset),
    [2, 3, 6],
  );
  assert.equal(inside.lastEpoch, -1);
});

test('a marker of which the log cleaner has kept the header alone is passed, as is one whose record cannot be read', () => {
  const kept = marker(1n, 4, 'abort').subarray(0, batchOverheadBytes);
  kept.writeInt32BE(kept.length - 12, 8);
  const broken = append(kept, 5);
  kept.writeInt32BE(0, 57); // record count
  const log = Buffer.concat([kept, broken, transactional(2n, 6, 1)]);
  const { records: found, nextOffset } = decodeRecords(at, 4, log);
  assert.deepEqual(
    found.map(({ offset }) => offset),
    [6],
  );
  assert.equal(nextOffset, 7);
});

test('a compacted batch leaves gaps, and the offset moves past its last one', () => {
  const batch = append(encodeBatch(records(2), stamp), 20);
  batch.writeInt32BE(9, 23); // lastOffsetDelta: what was behind the two is gone
  const { records: found, nextOffset } = decodeRecords(at, 20, batch);
  assert.deepEqual(
    found.map(({ offset }) => offset),
    [20, 21],
  );
  assert.equal(nextOffset, 30);
});

const unreadable = (from: number, to: number) => (error: unknown) => {
  assert.ok(error instanceof UnreadableBatchError, String(error));
  assert.deepEqual([error.at, error.from, error.to], [at, from, to]);
  assert.match(
    error.message,
    new RegExp(`^offsets ${from} to ${to - 1} of ${at.topic}/${at.partition} cannot be read: `),
  );
  return true;
};

/** A message of format 0 or 1, with a key and a value of one byte: shorter than a batch's header. */
function oldMessage(magic: 0 | 1, offset: number): Buffer {
  const body = Buffer.concat([
    Buffer.from([0, 0, 0, 0, magic, 0]), // CRC, magic, attributes
    Buffer.alloc(magic === 1 ? 8 : 0), // timestamp
    Buffer.from([0, 0, 0, 1, 0x6b, 0, 0, 0, 1, 0x76]),
  ]);
  const head = Buffer.alloc(12);
  head.writeBigInt64BE(BigInt(offset));
  head.writeInt32BE(body.length, 8);
  return Buffer.concat([head, body]);
}

test('messages of an old format are one error for as many as stand in a row, be it a single short one at the end of the log', () => {
  for (const magic of [0, 1] as const) {
    const old = [4, 5, 6].map(offset => oldMessage(magic, offset));
    const cutOff = oldMessage(magic, 7).subarray(0, 20);
    assert.throws(() => decodeRecords(at, 5, Buffer.concat([...old, cutOff])), unreadable(5, 7));
    assert.throws(() => decodeRecords(at, 6, oldMessage(magic, 6)), unreadable(6, 7));
    const batch = append(encodeBatch(records(2), stamp), 7);
    assert.throws(() => decodeRecords(at, 4, Buffer.concat([...old, batch])), unreadable(4, 7));
    assert.equal(decodeRecords(at, 7, Buffer.concat([...old, batch])).nextOffset, 9);
  }
});

test('a batch that would expand beyond the limit is an error that names its offsets', () => {
  const batch = append(encodeBatch(records(3), stamp), 10);
  const bomb = gzipSync(Buffer.alloc(129 * 1024 * 1024), { level: 1 });
  const large = Buffer.concat([batch.subarray(0, 61), bomb]);
  large.writeInt32BE(large.length - 12, 8);
  large.writeInt16BE(1, 21); // gzip
  assert.throws(() => decodeRecords(at, 10, large), unreadable(10, 13));
  large.writeInt32BE(7, 12);
  assert.throws(() => decodeRecords(at, 10, large), { leaderEpoch: 7 });
  large.writeUInt32LE(3, large.length - 4); // the size that it says it has
  assert.throws(() => decodeRecords(at, 10, large), unreadable(10, 13));
});

test('a batch that cannot be decoded is an error when it is the first, and ends the result when it is not', () => {
  const good = append(encodeBatch(records(2), stamp), 0);
  const bad = append(encodeBatch(records(2), stamp), 2);
  bad.writeInt16BE(5, 21); // a codec that does not exist
  assert.throws(() => decodeRecords(at, 3, bad), unreadable(2, 4));
  const { records: found, nextOffset } = decodeRecords(at, 0, Buffer.concat([good, bad]));
  assert.equal(found.length, 2);
  assert.equal(nextOffset, 2);
});

test('no record of a batch that cannot be decoded to its end is handed out with those of the batch before', () => {
  const good = append(encodeBatch(records(2), stamp), 0);
  const bad = append(encodeBatch(records(2), stamp), 2);
  bad.writeInt32BE(3, 57); // one record more than there is
  const { records: found, nextOffset } = decodeRecords(at, 0, Buffer.concat([good, bad]));
  assert.deepEqual(
    found.map(({ offset }) => offset),
    [0, 1],
  );
  assert.equal(nextOffset, 2);
});

test('whatever bytes come, decoding ends with records or an UnreadableBatchError', () => {
  fc.assert(
    fc.property(fc.nat(400), fc.nat(255), fc.nat(400), fc.nat(255), (i, x, j, y) => {
      const batch = append(encodeBatch(records(5), stamp), 0);
      batch[i % batch.length] = x;
      batch[j % batch.length] = y;
      try {
        const { nextOffset } = decodeRecords(at, 0, batch);
        assert.ok(nextOffset >= 0);
      } catch (error) {
        assert.ok(error instanceof UnreadableBatchError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

test('a kept record does not keep the response it came in', () => {
  const response = Buffer.concat([append(encodeBatch(records(1), stamp), 0), Buffer.alloc(1_000_000)]);
  const { records: found } = decodeRecords(at, 0, response);
  assert.ok((found[0]?.value?.buffer.byteLength ?? Infinity) < 100_000);
});
