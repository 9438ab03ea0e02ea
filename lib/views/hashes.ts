import { hash } from 'node:crypto';

/** SHA-256, the first 16 bytes: fixed-size index entries, whatever the length of an id or a key. */
function shortHash(bytes: string | Buffer): Buffer {
  return hash('sha256', bytes, 'buffer').subarray(0, 16);
}

/** Identity of a row: a hash of its id fields' canonical values, in the order of `TablePlan.id`. */
export function rowId(values: readonly unknown[]): Buffer {
  return shortHash(JSON.stringify(values));
}

/** Identity of a record's key, taken from its bytes: keys need not be text. Undefined for a null key. */
export function keyHash(key: string | Buffer | null): Buffer | undefined {
  return key === null ? undefined : shortHash(key);
}

/** Eight hex digits that tell apart names which are cut or changed. */
export function nameHash(name: string): string {
  return hash('sha256', name).slice(0, 8);
}

/** A fingerprint of what a table is made of. */
export function planHash(canonical: string): string {
  return hash('sha256', canonical);
}
