import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { murmur2, partitionOf } from '../../../lib/kafka/index.ts';
import golden from '../../golden/murmur2.json' with { type: 'json' };

test('hashes and partitions are those of the Java client, for every vector', () => {
  assert.ok(golden.vectors.length > 0);
  for (const { key, murmur2: hash, partitions } of golden.vectors) {
    assert.equal(murmur2(Buffer.from(key)), hash, `hash of ${JSON.stringify(key)}`);
    golden.partitionCounts.forEach((count, index) => {
      assert.equal(partitionOf(key, count), partitions[index], `partition of ${JSON.stringify(key)} of ${count}`);
      assert.equal(partitionOf(Buffer.from(key), count), partitions[index]);
    });
  }
});

test('a key lands in the same partition as text and as bytes, however long it is', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ minLength: 300, maxLength: 1_000, unit: 'grapheme' })),
      fc.integer({ min: 1, max: 10_000 }),
      (key, count) => {
        const partition = partitionOf(key, count);
        assert.equal(partition, partitionOf(Buffer.from(key), count));
        assert.ok(partition >= 0 && partition < count);
      },
    ),
  );
});

test('keys spread evenly', () => {
  const counts = new Array<number>(24).fill(0);
  for (let i = 0; i < 24_000; i++) {
    const partition = partitionOf(`user-${i}`, 24);
    counts[partition] = (counts[partition] ?? 0) + 1;
  }
  for (const count of counts) assert.ok(count > 800 && count < 1_200, `${counts}`);
});
