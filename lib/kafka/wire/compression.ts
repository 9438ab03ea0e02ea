import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { UnreadableBatchError } from '../errors.ts';

/** Most that a compressed batch may expand to; a larger one is refused rather than held. */
const maxOutputLength = 256 * 1024 * 1024;

/** The records of a compressed batch. Codec numbers: kafka.apache.org/documentation/#recordbatch. */
export function decompress(codec: number, bytes: Buffer): Buffer {
  if (codec === 1) return gunzipSync(bytes, { maxOutputLength });
  if (codec === 4) return zstdDecompressSync(bytes, { maxOutputLength });
  const name = codec === 2 ? 'snappy' : codec === 3 ? 'lz4' : `codec ${codec}`;
  throw new UnreadableBatchError(`compression with ${name} is not supported`);
}
