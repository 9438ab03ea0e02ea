import { hash } from 'node:crypto';

/** SHA-256's block and its digest, bytes. */
const blockBytes = 64;
const digestBytes = 32;

export const innerPadBytes = blockBytes;

/**
 * HMAC-SHA-256 by its definition (RFC 2104): H(K ⊕ opad, H(K ⊕ ipad, text)), with one-shot hashes that answer text.
 * `createHmac` makes three objects a call and costs 2.5–3.4 µs, this 0.8 µs; each event of each subscription needs one.
 * A test compares it with `createHmac`.
 */
export interface Hmac {
  /** What the hashed bytes have to begin with. */
  readonly innerPad: Buffer;
  /** @param padded the inner pad and then the text. @returns the 32 bytes, one a character (latin1). */
  digest(padded: Uint8Array): string;
}

export function openHmac(secret: Buffer): Hmac {
  const key = blockKey(secret);
  const innerPad = key.map(byte => byte ^ 0x36);
  const outer = Buffer.alloc(blockBytes + digestBytes);
  for (const [index, byte] of key.entries()) outer[index] = byte ^ 0x5c;
  return {
    innerPad: Buffer.from(innerPad),
    digest(padded) {
      outer.write(hash('sha256', padded, 'binary'), blockBytes, 'latin1');
      return hash('sha256', outer, 'binary');
    },
  };
}

/** A key longer than a block is hashed first. */
function blockKey(secret: Uint8Array): Uint8Array {
  const key = new Uint8Array(blockBytes);
  key.set(secret.length > blockBytes ? hash('sha256', secret, 'buffer') : secret);
  return key;
}
