import type { KafkaRecord, RecordBatch, TopicPartition } from '../../lib/kafka/index.ts';
import type { ReadPoint } from './batch.ts';
import type { ClaimedPosition } from './positions.ts';

/** Records of one partition between the reader and the rows. Holds no more than about `maxBytes`. */
export class Feed {
  readonly at: TopicPartition;
  readonly epoch: number;
  readonly topicId: string;
  readonly #maxBytes: number;
  #next: number;
  #fetched: number;
  #lastEpoch: number | undefined;
  #records: KafkaRecord[] = [];
  #bytes = 0;

  constructor({ topic, partition, epoch, next, topicId, leaderEpoch }: ClaimedPosition, maxBytes: number) {
    this.at = { topic, partition };
    this.epoch = epoch;
    this.topicId = topicId;
    this.#maxBytes = maxBytes;
    this.#next = next;
    this.#fetched = next;
    this.#lastEpoch = leaderEpoch ?? undefined;
  }

  /** Where the position stands. */
  get next(): number {
    return this.#next;
  }

  /** Where reading goes on. */
  get fetched(): number {
    return this.#fetched;
  }

  /** Leader epoch of the record before that, as far as known. */
  get lastEpoch(): number | undefined {
    return this.#lastEpoch;
  }

  /** Timestamp of the oldest record that is not applied, ms since the epoch. */
  get oldestMs(): number | undefined {
    return this.#records[0]?.timestampMs;
  }

  get isFull(): boolean {
    return this.#bytes >= this.#maxBytes;
  }

  /** Whether so much has been worked off that reading may go on: not at the first byte, or it would stutter. */
  get hasRoom(): boolean {
    return this.#bytes <= this.#maxBytes / 2;
  }

  get hasWork(): boolean {
    return this.#fetched > this.#next;
  }

  /** Takes a batch; of one that comes again, the records that were not taken before. */
  add(batch: RecordBatch): void {
    for (const record of batch.records) {
      if (record.offset < this.#fetched) continue;
      this.#records.push(record);
      this.#bytes += sizeOf(record);
      this.#fetched = record.offset + 1;
      this.#lastEpoch = record.leaderEpoch;
    }
    if (batch.nextOffset < this.#fetched) return;
    this.#fetched = batch.nextOffset;
    this.#lastEpoch = batch.lastEpoch;
  }

  /** What lies before this offset is gone from the log. */
  skipTo(offset: number): void {
    this.#fetched = Math.max(this.#fetched, offset);
    this.#lastEpoch = undefined;
  }

  /** The next records, at most `limit`; they stay here until {@link passed}. */
  peek(limit: number): { from: number; next: number; records: readonly KafkaRecord[]; read: ReadPoint } {
    const records = this.#records.slice(0, limit);
    const isAll = records.length === this.#records.length;
    const last = records.at(-1);
    const read = { next: this.#fetched, lastEpoch: this.#lastEpoch };
    return { from: this.#next, next: isAll || !last ? this.#fetched : last.offset + 1, records, read };
  }

  /** Everything below `next` has been applied. */
  passed(next: number): void {
    let count = 0;
    for (const record of this.#records) {
      if (record.offset >= next) break;
      this.#bytes -= sizeOf(record);
      count++;
    }
    this.#records.splice(0, count);
    this.#next = next;
  }
}

/** With what the objects themselves take, roughly. */
function sizeOf({ key, value }: KafkaRecord): number {
  return 200 + (key?.length ?? 0) + (value?.length ?? 0);
}
