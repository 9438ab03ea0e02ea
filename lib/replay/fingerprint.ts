import { hash } from 'node:crypto';

/** What a fingerprint stands for; part of what is hashed, so that a user key never passes as a binding. */
export type FingerprintKind = 'user' | 'binding' | 'cluster';

/** 96 bits: a second preimage costs 2^96 tries, and a cursor stays short. */
const fingerprintBytes = 12;
const remembered = 1_024;

/**
 * The first 96 bits of SHA-256 over kind and text, as base64url. A cursor carries these in place of the user key, the
 * field with its arguments and the cluster id: compact, and nobody's name leaves in a cursor.
 */
export function fingerprint(kind: FingerprintKind, text: string): string {
  return hash('sha256', `${kind}\0${text}`, 'buffer').subarray(0, fingerprintBytes).toString('base64url');
}

/** The same as bytes; remembers the last ones, because each event of a stream needs the same three. */
export function openFingerprints(): (kind: FingerprintKind, text: string) => Buffer {
  const known = new Map<string, Buffer>();
  return (kind, text) => {
    const name = `${kind}\0${text}`;
    const found = known.get(name);
    if (found !== undefined) return found;
    if (known.size >= remembered) known.clear();
    const made = Buffer.from(hash('sha256', name, 'buffer').subarray(0, fingerprintBytes));
    known.set(name, made);
    return made;
  };
}

export const fingerprintLength = fingerprintBytes;
