/**
 * Snappy, decompression only. Source: github.com/google/snappy, format_description.txt. Java clients put blocks into
 * the framing of xerial's snappy-java: a header of 16 bytes, then blocks, each behind its length.
 */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const xerialHeaderBytes = 16;

/** @throws RangeError when the input is not Snappy, or expands beyond the limit. */
export function unsnappy(bytes: Buffer, maxOutputLength: number): Buffer {
  if (!bytes.subarray(0, xerialMagic.length).equals(xerialMagic)) return unsnappyBlock(bytes, maxOutputLength);
  const blocks: Buffer[] = [];
  let left = maxOutputLength;
  for (let position = xerialHeaderBytes; position < bytes.length; ) {
    const size = bytes.readInt32BE(position);
    position += 4;
    if (size < 0 || position + size > bytes.length) throw new RangeError('a snappy block is cut off');
    const block = unsnappyBlock(bytes.subarray(position, position + size), left);
    position += size;
    left -= block.length;
    blocks.push(block);
  }
  return Buffer.concat(blocks);
}

function unsnappyBlock(bytes: Buffer, maxOutputLength: number): Buffer {
  let position = 0;
  let size = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = at(bytes, position++);
    size += (byte & 0x7f) * 2 ** shift;
    if ((byte & 0x80) === 0) break;
    if (shift >= 28) throw new RangeError('a snappy length of more than five bytes');
  }
  if (size > maxOutputLength) throw new RangeError(`snappy expands beyond ${maxOutputLength} bytes`);
  const output = Buffer.allocUnsafe(size);
  let end = 0;
  while (position < bytes.length) {
    const tag = at(bytes, position++);
    const kind = tag & 3;
    if (kind === 0) {
      let length = (tag >>> 2) + 1;
      if (length > 60) {
        const lengthBytes = length - 60;
        length = bytes.readUIntLE(position, lengthBytes) + 1;
        position += lengthBytes;
      }
      if (position + length > bytes.length || end + length > size) throw new RangeError('a snappy literal is too long');
      bytes.copy(output, end, position, position + length);
      position += length;
      end += length;
      continue;
    }
    let length = (tag >>> 2) + 1;
    let distance: number;
    if (kind === 1) {
      length = ((tag >>> 2) & 7) + 4;
      distance = ((tag >>> 5) << 8) | at(bytes, position++);
    } else {
      const distanceBytes = kind === 2 ? 2 : 4;
      distance = bytes.readUIntLE(position, distanceBytes);
      position += distanceBytes;
    }
    end = repeat(output, end, distance, length);
  }
  if (end !== size) throw new RangeError('snappy ends early');
  return output;
}

/** Appends `length` bytes that begin `distance` back; the two may overlap. Returns the new end. */
export function repeat(output: Buffer, end: number, distance: number, length: number): number {
  const from = end - distance;
  if (distance === 0 || from < 0 || end + length > output.length) throw new RangeError('a match outside of the output');
  if (distance >= length) output.copyWithin(end, from, from + length);
  else for (let i = 0; i < length; i++) output[end + i] = output[from + i] as number;
  return end + length;
}

function at(bytes: Buffer, position: number): number {
  const byte = bytes[position];
  if (byte === undefined) throw new RangeError('compressed data is cut off');
  return byte;
}
