import { type LogRecord, leaveBatch } from './log-record.ts';

/**
 * What is ready for the taker of one stream. One byte budget holds for what he has in hand, what is ready, and what waits
 * for the end of a replay.
 */
export class StreamQueue {
  readonly #budgetBytes: number;
  #ready: LogRecord[] = [];
  #readyBytes = 0;
  /** Of what the taker was given last: it has it in hand until it comes back. */
  #takenBytes = 0;
  /** Of live records that wait for the end of a replay. */
  #keptBytes = 0;

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  get isEmpty(): boolean {
    return this.#ready.length === 0;
  }

  /** Whether this much more may be queued. Always, when nothing is: so who waits for room is always woken. */
  hasRoom(bytes: number): boolean {
    return this.#queuedBytes === 0 || this.#queuedBytes + this.#keptBytes + bytes <= this.#budgetBytes;
  }

  /** How much more may be queued, where that is anything at all. */
  get roomBytes(): number {
    return this.#budgetBytes - this.#queuedBytes - this.#keptBytes;
  }

  /** Whether this much more may wait for a replay. No more than half: a replay that has no room goes on record by record. */
  mayKeep(bytes: number): boolean {
    const keptBytes = this.#keptBytes + bytes;
    return keptBytes <= this.#budgetBytes / 2 && this.#queuedBytes + keptBytes <= this.#budgetBytes;
  }

  /** What waits for the end of a replay has become more or (negative) less. */
  keep(bytes: number): void {
    this.#keptBytes += bytes;
  }

  push(record: LogRecord): void {
    // Who keeps up holds one record, and that not for long.
    if (this.#queuedBytes > 0) leaveBatch(record);
    this.#ready.push(record);
    this.#readyBytes += record.sizeBytes;
  }

  /** What there is, up to half of the budget: while the taker has it in hand, replays fill the other half. */
  take(): readonly LogRecord[] {
    const mostBytes = this.#budgetBytes / 2;
    if (this.#readyBytes <= mostBytes) {
      const taken = this.#ready;
      this.#ready = [];
      this.#takenBytes = this.#readyBytes;
      this.#readyBytes = 0;
      return taken;
    }
    let count = 0;
    for (const { sizeBytes } of this.#ready) {
      if (count > 0 && this.#takenBytes + sizeBytes > mostBytes) break;
      this.#takenBytes += sizeBytes;
      count += 1;
    }
    this.#readyBytes -= this.#takenBytes;
    return this.#ready.splice(0, count);
  }

  /** The taker is done with what it had. @returns whether it had anything. */
  comeBack(): boolean {
    const had = this.#takenBytes > 0;
    this.#takenBytes = 0;
    return had;
  }

  clear(): void {
    this.#ready = [];
    this.#readyBytes = 0;
  }

  get #queuedBytes(): number {
    return this.#takenBytes + this.#readyBytes;
  }
}
