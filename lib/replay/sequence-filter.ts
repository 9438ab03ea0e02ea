/**
 * Whether a record repeats what its key has already shown: a handler that crashed between publishing and forgetting
 * publishes again under the same sequence numbers (`ce_keysequence`). Per topic and key the log is in order of
 * sequence, so "not above the last one passed" is the whole rule.
 */
export function repeats(lastPassed: number | undefined, sequence: number | undefined): boolean {
  return lastPassed !== undefined && sequence !== undefined && sequence <= lastPassed;
}

/** Last sequences passed, by key. */
export interface SequenceMemory {
  last(key: string): number | undefined;
  pass(key: string, sequence: number): void;
}

/**
 * Remembers at least the `keys` keys that passed last, at most twice as many. What it forgets passes again: a repeat
 * follows its original within one batch of the handler, long before that many keys have passed in between.
 */
export function openSequenceMemory(keys: number): SequenceMemory {
  // Two generations instead of a linked list: the old one goes as a whole when the young one is full.
  let young = new Map<string, number>();
  let old = new Map<string, number>();
  return {
    last: key => young.get(key) ?? old.get(key),
    pass(key, sequence) {
      if (young.size >= keys && !young.has(key)) {
        old = young;
        young = new Map();
      }
      young.set(key, sequence);
    },
  };
}

/** For OWN streams: one key. */
export function openSingleSequence(lastPassed?: number): SequenceMemory {
  let last = lastPassed;
  return {
    last: () => last,
    pass(_key, sequence) {
      last = sequence;
    },
  };
}
