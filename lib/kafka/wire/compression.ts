import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { unlz4 } from './lz4.ts';
import { unsnappy } from './snappy.ts';

/** Most that a compressed batch may expand to; a larger one is refused rather than held. */
const maxOutputLength = 128 * 1024 * 1024;

/**
 * The records of a compressed batch. Codec numbers: kafka.apache.org/documentation/#recordbatch. gzip and zstd come with
 * Node; Snappy and LZ4 are small enough to be read here.
 */
export function decompress(codec: number, bytes: Buffer): Buffer {
  switch (codec) {
    case 1:
      // The trailer mostly says how large it will be (RFC 1952): one that is too large is met again and again.
      if (bytes.length >= 4 && bytes.readUInt32LE(bytes.length - 4) > maxOutputLength) {
        throw new RangeError(`gzip expands beyond ${maxOutputLength} bytes`);
      }
      return gunzipSync(bytes, { maxOutputLength });
    case 2:
      return unsnappy(bytes, maxOutputLength);
    case 3:
      return unlz4(bytes, maxOutputLength);
    case 4:
      return zstdDecompressSync(bytes, { maxOutputLength });
    default:
      throw new RangeError(`compression codec ${codec} is not known`);
  }
}
