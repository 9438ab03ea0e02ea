/** What a subscription got, small enough for millions: numbers for records, and when each came. */

export type Field = 'ticks' | 'allTicks' | 'transactions' | 'ledger';

export const fields: Readonly<Record<Field, { topic: string; own: boolean; query: string }>> = {
  ticks: { topic: 'ticks', own: true, query: 'subscription { ticks { n pad } }' },
  allTicks: { topic: 'ticks', own: false, query: 'subscription { allTicks { n } }' },
  transactions: { topic: 'balance_changed', own: true, query: 'subscription { transactions { id } }' },
  ledger: { topic: 'balance_changed', own: false, query: 'subscription { ledger { id } }' },
};

/** A list of numbers that grows without a box for each. */
export class Numbers {
  #values = new Uint32Array(256);
  #length = 0;

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const grown = new Uint32Array(this.#length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length++] = value;
  }

  get length(): number {
    return this.#length;
  }

  /** What is there now; not to be kept while more is pushed. */
  view(): Uint32Array {
    return this.#values.subarray(0, this.#length);
  }
}

/** One subscription of one client, over all its connections. */
export interface Recording {
  client: string;
  /** The user key. */
  user: string;
  field: Field;
  /** Records in the order in which they came, by the number of {@link Ids}. */
  ids: Numbers;
  /** When each came, ms since the run's start. */
  arrivedMs: Numbers;
  /** Errors that should not have ended it, and how it went on. */
  endings: { atMs: number; code: string }[];
  /** When it did not listen, because a fault took it off, ms since the run's start. */
  away: { fromMs: number; toMs: number }[];
}

/** Gives each record's own id a number: a tick has one, a transaction a UUID. */
export class Ids {
  readonly #numbers = new Map<string, number>();

  of(topic: string, id: unknown): number {
    if (topic === 'ticks') return Number(id);
    const text = String(id);
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    this.#numbers.set(text, this.#numbers.size);
    return this.#numbers.size - 1;
  }
}
