/** What reads an iteration, one at a time. */
export interface Reader {
  /** Begins anew; an iteration that is under way ends. */
  start(): void;
  stop(): void;
}

export interface ReaderParts<Item> {
  begin(): AsyncIterableIterator<Item>;
  onItem(item: Item): void;
  /** The iteration has failed, and is over. */
  onError(error: unknown): void;
}

/** Makes a reader. Nothing comes from an iteration any more once another one has begun, or after `stop`. */
export function openReader<Item>({ begin, onItem, onError }: ReaderParts<Item>): Reader {
  let current: AsyncIterableIterator<Item> | undefined;

  async function read(items: AsyncIterableIterator<Item>): Promise<void> {
    try {
      for await (const item of items) {
        if (items !== current) return;
        onItem(item);
      }
    } catch (error) {
      if (items === current) onError(error);
    }
  }

  function leave(): void {
    const left = current;
    current = undefined;
    void left?.return?.();
  }

  return {
    start() {
      leave();
      current = begin();
      void read(current);
    },
    stop: leave,
  };
}
