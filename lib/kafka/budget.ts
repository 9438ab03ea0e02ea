/** Something that takes room while it is inside. */
export interface Sized {
  sizeBytes: number;
}

/**
 * A bounded buffer's bookkeeping: lets items in, first come first served, while their sizes fit the limit. An item larger
 * than the limit gets in alone.
 */
export class Budget<Item extends Sized> {
  readonly #limitBytes: number;
  readonly #enter: (item: Item) => void;
  #waiting: Item[] = [];
  #usedBytes = 0;

  /** `enter` is called for each item once it is in. */
  constructor(limitBytes: number, enter: (item: Item) => void) {
    this.#limitBytes = limitBytes;
    this.#enter = enter;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get empty(): boolean {
    return this.#usedBytes === 0 && this.#waiting.length === 0;
  }

  /** Gets in at once if there is room and nobody waits, else when its turn comes. */
  add(item: Item): void {
    if (this.#waiting.length === 0 && this.#fits(item)) this.#admit(item);
    else this.#waiting.push(item);
  }

  /** The item has left; who waits may move up with {@link admit}. */
  release({ sizeBytes }: Item): void {
    this.#usedBytes -= sizeBytes;
  }

  /** Lets in who waits and fits. Returns whether anybody got in. */
  admit(): boolean {
    let count = 0;
    for (const item of this.#waiting) {
      if (!this.#fits(item)) break;
      this.#admit(item);
      count++;
    }
    if (count > 0) this.#waiting.splice(0, count);
    return count > 0;
  }

  /** Takes out those that wait and match, in order. */
  remove(matches: (item: Item) => boolean): Item[] {
    const removed = this.#waiting.filter(matches);
    if (removed.length > 0) this.#waiting = this.#waiting.filter(item => !matches(item));
    return removed;
  }

  #fits({ sizeBytes }: Item): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + sizeBytes <= this.#limitBytes;
  }

  #admit(item: Item): void {
    this.#usedBytes += item.sizeBytes;
    this.#enter(item);
  }
}
