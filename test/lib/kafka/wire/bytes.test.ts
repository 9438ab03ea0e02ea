import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteReader, ByteWriter, varintSize } from '../../../../lib/kafka/wire/bytes.ts';
import { crc32c } from '../../../../lib/kafka/wire/crc32c.ts';

test('what is written is read back', () => {
  const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  fc.assert(
    fc.property(
      int32,
      fc.maxSafeInteger(),
      fc.string({ unit: 'grapheme' }),
      fc.uint8Array(),
      (small, large, text, raw) => {
        const bytes = Buffer.from(raw);
        const writer = new ByteWriter(1);
        writer.int32(small).int64(large).string(text).string(null).varint(small).varBytes(bytes).varBytes(null);
        writer.array([1, 2, 3], one => writer.int16(one));
        const reader = new ByteReader(writer.buffer);
        assert.equal(reader.int32(), small);
        assert.equal(reader.int64(), large);
        assert.equal(reader.string(), text);
        assert.equal(reader.string(), null);
        const before = reader.position;
        assert.equal(reader.varint(), small);
        assert.equal(reader.position - before, varintSize(small));
        assert.deepEqual(reader.varBytes(), bytes);
        assert.equal(reader.varBytes(), null);
        assert.deepEqual(
          reader.array(() => reader.int16()),
          [1, 2, 3],
        );
        assert.equal(reader.remaining, 0);
      },
    ),
  );
});

test('a varlong is read exactly within the safe integers', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), value => {
      let zigzag = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
      const bytes: number[] = [];
      do {
        const more = zigzag > 0x7fn;
        bytes.push(Number(zigzag & 0x7fn) | (more ? 0x80 : 0));
        zigzag >>= 7n;
      } while (zigzag > 0n);
      assert.equal(new ByteReader(Buffer.from(bytes)).varlong(), value);
    }),
  );
});

test('what is cut off is an error, not a wrong value', () => {
  assert.throws(() => new ByteReader(Buffer.from([0x80])).varint(), RangeError);
  assert.throws(() => new ByteReader(Buffer.from([0x80])).varlong(), RangeError);
  assert.throws(() => new ByteReader(Buffer.alloc(12, 0xff)).varint(), RangeError);
  assert.throws(() => new ByteReader(Buffer.from([0x0a, 1])).varBytes(), RangeError);
  assert.throws(() => new ByteReader(Buffer.alloc(3)).int32(), RangeError);
});

test('crc32c agrees with the vectors of RFC 3720, B.4', () => {
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43);
  assert.equal(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i))), 0x46dd794e);
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  assert.equal(crc32c(Buffer.from('xx123456789yy'), 2, 11), 0xe3069283);
});
