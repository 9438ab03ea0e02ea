import type { UserStorage } from './storage.ts';

/** The position up to which a consumer has dealt with events, as storage keeps it. */
export interface StoredPosition {
  load(): Promise<string | null | undefined>;
  /** Writes one after the other; of those that come while one is being written, only the newest. */
  save(cursor: string): void;
  /** Forgets the position: it does not hold. */
  drop(): void;
}

export function openStoredPosition(storage: UserStorage, name: string): StoredPosition {
  let newest: string | undefined;
  let isWriting = false;
  const key = () => storage.keyOf('cursor', name);

  async function write(): Promise<void> {
    isWriting = true;
    try {
      for (let written: string | undefined; written !== newest; ) {
        written = newest;
        if (written) await storage.items.setItem(await key(), written);
      }
    } catch {
      // Where storage is full, or forbidden, a later start begins further back, and loses nothing.
    }
    isWriting = false;
  }

  return {
    load: async () => storage.items.getItem(await key()),
    save(cursor) {
      newest = cursor;
      if (!isWriting) void write();
    },
    drop: () =>
      void key()
        .then(found => storage.items.removeItem(found))
        .catch(() => {}),
  };
}
