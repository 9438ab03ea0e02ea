import type { Tokens } from './tokens.ts';
import type { ClientStorage } from './types.ts';

/** Storage, and the keys in it, which belong to one user. */
export interface UserStorage {
  readonly items: ClientStorage;
  /**
   * Returns the key under which this user's item is kept: a hash, which tells nobody anything. The token must be known. Rejects
   * where there is no Web Crypto: in a page over plain http from another host.
   */
  keyOf(...parts: unknown[]): Promise<string>;
}

export function openStorage(given: ClientStorage | undefined, tokens: Pick<Tokens, 'user'>): UserStorage {
  const memory = new Map<string, string>();
  return {
    items: given ?? {
      getItem: key => memory.get(key),
      setItem: (key, value) => void memory.set(key, value),
      removeItem: key => void memory.delete(key),
    },
    async keyOf(...parts) {
      const text = new TextEncoder().encode(JSON.stringify([tokens.user(), ...parts]));
      const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', text));
      return `penstock:${Array.from(hash, byte => byte.toString(16).padStart(2, '0')).join('')}`;
    },
  };
}

/** A random UUID (version 4); `crypto.randomUUID` is missing in a page over plain http. */
export function randomId(): string {
  return '10000000-1000-4000-8000-100000000000'.replace(/[018]/g, digit => {
    const [random = 0] = crypto.getRandomValues(new Uint8Array(1));
    return (Number(digit) ^ ((random & 15) >> (Number(digit) / 4))).toString(16);
  });
}
