/**
 * murmur2 as org.apache.kafka.common.utils.Utils.murmur2 computes it (seed 0x9747b28c), so that keys land where the
 * Java client puts them. Checked against test/golden/murmur2.json.
 */
const seed = 0x9747b28c;
const m = 0x5bd1e995;

/** 32-bit signed hash of the bytes. */
export function murmur2(bytes: Uint8Array): number {
  return hash(bytes, bytes.length);
}

function hash(bytes: Uint8Array, length: number): number {
  let h = seed ^ length;
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    let k =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    k = Math.imul(k, m);
    h = Math.imul(h, m) ^ k;
  }
  const rest = length - whole;
  if (rest === 3) h ^= (bytes[whole + 2] as number) << 16;
  if (rest >= 2) h ^= (bytes[whole + 1] as number) << 8;
  if (rest >= 1) {
    h ^= bytes[whole] as number;
    h = Math.imul(h, m);
  }
  h ^= h >>> 13;
  h = Math.imul(h, m);
  h ^= h >>> 15;
  return h;
}

/** Keys that fit are encoded here instead of into a new buffer each; longer ones (three bytes a UTF-16 unit at most) aren't. */
const scratch = Buffer.allocUnsafeSlow(1_024);

/** The Java client's default partition of a non-null key: `(murmur2(key) & 0x7fffffff) % partitionCount`, UTF-8. */
export function partitionOf(key: string | Uint8Array, partitionCount: number): number {
  let h: number;
  if (typeof key !== 'string') h = murmur2(key);
  else if (key.length * 3 <= scratch.length) h = hash(scratch, scratch.write(key, 0, 'utf8'));
  else h = murmur2(Buffer.from(key, 'utf8'));
  return (h & 0x7fffffff) % partitionCount;
}
