import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { PenstockError } from '../../../lib/errors.ts';
import { openCursorCodec } from '../../../lib/replay/cursor.ts';
import { fingerprint } from '../../../lib/replay/fingerprint.ts';
import type { Position } from '../../../lib/replay/types.ts';

const secret = (id: string) => `${id}:${randomBytes(32).toString('base64')}`;
const k1 = secret('k1');
const codec = openCursorCodec(k1);

const offsets = fc.oneof(
  fc.integer({ min: -1, max: 300 }),
  fc.maxSafeNat().map(offset => offset - 1),
);
const timestamps = fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 4_102_444_800_000 }));
/** No topic's name begins with `~`: extensions have such. */
const topics = fc.oneof(
  fc.constantFrom('transactions', 'feedback'),
  fc.string({ minLength: 1, unit: 'binary' }).filter(name => !name.startsWith('~')),
);
const partitions = fc
  .uniqueArray(
    fc.record(
      {
        ...{ topic: topics, partition: fc.nat({ max: 2_000 }), offset: offsets, timestampMs: timestamps },
        leaderEpoch: fc.nat(),
      },
      { noNullPrototype: true, requiredKeys: ['topic', 'partition', 'offset', 'timestampMs'] },
    ),
    { selector: ({ topic, partition }) => `${partition}/${topic}` },
  )
  .map(list => list.sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1)));
const sequences = fc
  .dictionary(
    topics,
    fc.maxSafeNat().map(sequence => Math.min(sequence, Number.MAX_SAFE_INTEGER - 1)),
    { maxKeys: 4 },
  )
  .map(found => Object.fromEntries(Object.entries(found).filter(([topic]) => topic !== '__proto__')));
const unmarked: fc.Arbitrary<Position> = fc.record({
  kind: fc.constantFrom('stream' as const, 'view' as const),
  userKey: fc.string(),
  binding: fc.string(),
  clusterId: fc.string(),
  partitions,
  sequences,
});
const mark = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map(bytes => Buffer.from(bytes.fill(1, 5)).toString('base64url'));
/** Every other topic has a mark. */
const positions: fc.Arbitrary<Position> = fc.tuple(unmarked, fc.infiniteStream(mark)).map(([position, marks]) => {
  const names = [...new Set(position.partitions.map(({ topic }) => topic))].filter(name => name !== '__proto__');
  const topicMarks: Record<string, string> = {};
  for (const [index, name] of names.entries()) if (index % 2 === 0) topicMarks[name] = marks.next().value ?? '';
  return { ...position, ...(names.length > 0 && { topicMarks }) };
});

test('keys that are rotated are taken up, and unusable ones leave those of before', () => {
  const k2 = secret('k2');
  let secrets = k1;
  const rotating = openCursorCodec(() => secrets);
  const old = rotating.format(sample);
  secrets = `${k2},${k1}`;
  assert.deepEqual(openCursorCodec(k2).parse(rotating.format(sample)), rotating.parse(old));
  secrets = 'nothing that is a key';
  assert.deepEqual(openCursorCodec(k2).parse(rotating.format(sample)), rotating.parse(old));
});

test('a cursor gives back the position it was made of, with fingerprints in place of names', () => {
  fc.assert(
    fc.property(positions, position => {
      assert.deepEqual(codec.parse(codec.format(position)), {
        ...position,
        sequences: { ...position.sequences },
        userKey: fingerprint('user', position.userKey),
        binding: position.kind === 'view' ? '' : fingerprint('binding', position.binding),
        clusterId: fingerprint('cluster', position.clusterId),
      });
    }),
  );
});

test('a timestamp that a cursor cannot hold counts as not known, and the cursor is one to go on from', () => {
  const given = [Number.MAX_SAFE_INTEGER - 1, 1.7e18, Number.MAX_SAFE_INTEGER, -2, Number.NaN, 5];
  const places = given.map((timestampMs, partition) => ({ topic: 't', partition, offset: 7, timestampMs }));
  const { partitions } = codec.parse(codec.format({ ...sample, partitions: places }));
  assert.deepEqual(
    partitions.map(({ timestampMs }) => timestampMs),
    [Number.MAX_SAFE_INTEGER - 1, -1, -1, -1, -1, 5],
  );
});

test('a cursor with any one bit changed is refused', () => {
  fc.assert(
    fc.property(positions, fc.nat(), (position, where) => {
      const bytes = Buffer.from(codec.format(position), 'base64url');
      const bit = where % (bytes.length * 8);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      refused(bytes.toString('base64url'));
    }),
  );
});

test('every single bit of a cursor counts, and every character of its spelling', () => {
  const cursor = codec.format(sample);
  const bytes = Buffer.from(cursor, 'base64url');
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    refused(changed.toString('base64url'));
  }
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  for (let index = 0; index < cursor.length; index += 1) {
    for (const character of alphabet) {
      if (character !== cursor[index]) refused(cursor.slice(0, index) + character + cursor.slice(index + 1));
    }
  }
});

test('what is no cursor at all is refused, whatever it is', () => {
  for (const text of ['', 'x', 'null', `${codec.format(sample)}=`, ` ${codec.format(sample)}`, 'a'.repeat(2_000_000)]) {
    refused(text);
  }
  fc.assert(fc.property(fc.string(), refused));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), bytes => refused(Buffer.from(bytes).toString('base64url'))));
});

test('a cursor that was cut off or carries more is refused', () => {
  const bytes = Buffer.from(codec.format(sample), 'base64url');
  for (let length = 0; length < bytes.length; length += 1) refused(bytes.subarray(0, length).toString('base64url'));
  refused(Buffer.concat([bytes, Buffer.alloc(1)]).toString('base64url'));
});

test('after a rotation the old key still verifies and the new one signs', () => {
  const k2 = secret('k2');
  const rotated = openCursorCodec(`${k2},${k1}`);
  assert.deepEqual(rotated.parse(codec.format(sample)), codec.parse(codec.format(sample)));
  refused(rotated.format(sample));
  assert.deepEqual(openCursorCodec(k2).parse(rotated.format(sample)), rotated.parse(rotated.format(sample)));
});

test('a cursor signed with another secret under the same key id is refused', () => {
  refused(openCursorCodec(secret('k1')).format(sample));
});

test('a cursor of the first version, without marks of topics, is still read', () => {
  const { parse } = openCursorCodec(`k1:${Buffer.alloc(32, 7).toString('base64')}`);
  const first =
    'AQJrMQBh5Toy93f-5rnqYTC2WeFP4nhbih20yKhF9eSs_MROWi9enryB2MGijDQBD2JhbGFuY2VfY2hhbmdlZAYBAxIBBcAE-lhy8Mxzfj82VM-TYw';
  const { partitions, sequences, topicMarks } = parse(first);
  const [{ leaderEpoch: _, ...known } = assert.fail()] = sample.partitions;
  assert.deepEqual(partitions, [known]);
  assert.deepEqual(sequences, sample.sequences);
  assert.equal(topicMarks, undefined);
});

test('a cursor of the second version, without leader epochs, is still read', () => {
  const { parse } = openCursorCodec(`k1:${Buffer.alloc(32, 7).toString('base64')}`);
  const second =
    'AgJrMQBh5Toy93f-5rnqYTC2WeFP4nhbih20yKhF9eSs_MROWi9enryB2MGijDQBD2JhbGFuY2VfY2hhbmdlZKti6_JlYQYCAxIBAAAAMEwVPu2P4PKe3yV4rOetVQ';
  const { partitions, sequences, topicMarks } = parse(second);
  assert.deepEqual(
    partitions,
    sample.partitions.map(({ topic, partition, offset, timestampMs }) => ({ topic, partition, offset, timestampMs })),
  );
  assert.deepEqual(sequences, sample.sequences);
  assert.deepEqual(topicMarks, sample.topicMarks);
});

test('partitions given out of order are put in order', () => {
  const reversed = { ...sample, partitions: [...sample.partitions].reverse() };
  assert.equal(codec.format(reversed), codec.format(sample));
});

test('bad secrets are named', () => {
  assert.throws(() => openCursorCodec(''), /none given/);
  assert.throws(() => openCursorCodec('abc'), /id:base64/);
  assert.throws(() => openCursorCodec(`k1:${randomBytes(31).toString('base64')}`), /k1 has 31 bytes/);
  assert.throws(() => openCursorCodec(`${k1},${k1}`), /given twice/);
});

const sample: Position = {
  kind: 'stream',
  userKey: 'alice',
  binding: 'transactions',
  clusterId: 'cluster',
  partitions: [
    { topic: 'balance_changed', partition: 3, offset: 17, timestampMs: 1_790_000_000_000, leaderEpoch: 2 },
    { topic: 'balance_changed', partition: 4, offset: -1, timestampMs: -1 },
  ],
  sequences: { balance_changed: 5 },
  topicMarks: { balance_changed: 'q2Lr8mVh' },
};

function refused(cursor: string): void {
  assert.throws(
    () => codec.parse(cursor),
    (error: unknown) => error instanceof PenstockError && error.code === 'CURSOR_INVALID',
  );
}
