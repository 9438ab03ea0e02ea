/**
 * LZ4 frames, decompression only, as Kafka's clients write them. Source: github.com/lz4/lz4, doc/lz4_Frame_format.md and
 * lz4_Block_format.md. Checksums are not checked: the batch has a CRC of its own, which the broker checked.
 */
import { repeat } from './snappy.ts';

const magic = 0x184d2204;

/** @throws RangeError when the input is not an LZ4 frame, or expands beyond the limit. */
export function unlz4(bytes: Buffer, maxOutputLength: number): Buffer {
  if (bytes.readUInt32LE(0) !== magic) throw new RangeError('not an LZ4 frame');
  const flags = bytes.readUInt8(4);
  if (flags >>> 6 !== 1) throw new RangeError('an LZ4 frame of another version');
  const linked = (flags & 0x20) === 0;
  const blockChecksumBytes = (flags & 0x10) === 0 ? 0 : 4;
  const maxBlockBytes = 1 << (8 + 2 * ((bytes.readUInt8(5) >>> 4) & 7));
  if ((flags & 0x01) !== 0) throw new RangeError('an LZ4 frame with a dictionary');
  let position = 6 + ((flags & 0x08) === 0 ? 0 : 8) + 1; // content size, header checksum

  // A linked block's matches reach into the blocks before it, so all of them are put into one buffer.
  let output = Buffer.allocUnsafe(0);
  let end = 0;
  for (;;) {
    const word = bytes.readUInt32LE(position);
    position += 4;
    if (word === 0) break;
    const size = word & 0x7fffffff;
    if (position + size > bytes.length) throw new RangeError('an LZ4 block is cut off');
    const block = bytes.subarray(position, position + size);
    position += size + blockChecksumBytes;
    output = grow(output, end, maxBlockBytes);
    if (word >>> 31 === 1) {
      if (size > maxBlockBytes) throw new RangeError('an LZ4 block is too long');
      end += block.copy(output, end);
    } else end = unlz4Block(block, output, end, linked ? 0 : end, end + maxBlockBytes);
    if (end > maxOutputLength) throw new RangeError(`LZ4 expands beyond ${maxOutputLength} bytes`);
  }
  return output.subarray(0, end);
}

function unlz4Block(bytes: Buffer, output: Buffer, start: number, floor: number, ceiling: number): number {
  let end = start;
  let position = 0;
  const longer = (length: number): number => {
    let sum = length;
    for (;;) {
      const more = bytes.readUInt8(position++);
      sum += more;
      if (more !== 255) return sum;
    }
  };
  while (position < bytes.length) {
    const token = bytes.readUInt8(position++);
    let literals = token >>> 4;
    if (literals === 15) literals = longer(literals);
    if (position + literals > bytes.length || end + literals > ceiling) throw new RangeError('LZ4 literals too long');
    bytes.copy(output, end, position, position + literals);
    position += literals;
    end += literals;
    if (position === bytes.length) break; // the last sequence has no match
    const distance = bytes.readUInt16LE(position);
    position += 2;
    let length = token & 15;
    if (length === 15) length = longer(length);
    length += 4;
    if (end - distance < floor || end + length > ceiling) throw new RangeError('an LZ4 match outside of the output');
    end = repeat(output, end, distance, length);
  }
  return end;
}

function grow(output: Buffer<ArrayBuffer>, used: number, more: number): Buffer<ArrayBuffer> {
  if (used + more <= output.length) return output;
  const larger = Buffer.allocUnsafe(Math.max(used + more, used * 2));
  output.copy(larger, 0, 0, used);
  return larger;
}
