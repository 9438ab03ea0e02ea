import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { closeFrame, FrameBoundary } from '../../../services/router/frame-boundary.ts';

/** A frame as RFC 6455, 5.2 lays it out. */
function frame({ size, masked, opcode }: { size: number; masked: boolean; opcode: number }): Buffer {
  const extended = size > 65_535 ? 8 : size > 125 ? 2 : 0;
  const header = Buffer.alloc(2 + extended + (masked ? 4 : 0));
  header[0] = 0x80 | opcode;
  header[1] = (masked ? 0x80 : 0) | (extended === 8 ? 127 : extended === 2 ? 126 : size);
  if (extended === 2) header.writeUInt16BE(size, 2);
  if (extended === 8) header.writeBigUInt64BE(BigInt(size), 2);
  return Buffer.concat([header, Buffer.alloc(size, 0x81)]);
}

const frames = fc.array(
  fc.record({
    size: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.constantFrom(125, 126, 65_535, 65_536, 70_000)),
    masked: fc.boolean(),
    opcode: fc.constantFrom(0, 1, 2, 8, 9, 10),
  }),
  { minLength: 1, maxLength: 8 },
);

test('the boundary is seen after each frame and nowhere else, however the bytes are cut', () => {
  fc.assert(
    fc.property(
      frames,
      fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 50 }),
      (specs, cuts) => {
        const encoded = specs.map(frame);
        const bytes = Buffer.concat(encoded);
        const ends = new Set<number>([0]);
        let end = 0;
        for (const { length } of encoded) ends.add((end += length));
        const boundary = new FrameBoundary();
        let at = 0;
        for (let turn = 0; at < bytes.length; turn++) {
          const size = cuts[turn % cuts.length] ?? 1;
          boundary.push(bytes.subarray(at, at + size));
          at = Math.min(bytes.length, at + size);
          assert.equal(boundary.atBoundary, ends.has(at), `at byte ${at}`);
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('a close frame holds its code and at most 123 bytes of reason', () => {
  assert.deepEqual([...closeFrame(1012, 'ok')], [0x88, 4, 0x03, 0xf4, 0x6f, 0x6b]);
  assert.equal(closeFrame(1012, 'x'.repeat(500)).length, 127);
});
