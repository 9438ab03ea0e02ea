import { partitionOf } from '../../lib/kafka/index.ts';
import { type DumpedRecord, testKafka, visitTopic } from '../support/dump.ts';
import { type Ids, Numbers } from './evidence.ts';

/**
 * A topic as it lies in the log, as far as streams may show it: one row a record, each partition's rows in offset order.
 * What fits no stream (tombstones, what is no object of the type) has no row.
 */
export interface TopicTruth {
  topic: string;
  rows: number;
  /** The record's own id, by the number of {@link Ids}. */
  ids: Uint32Array;
  /** Index into `keyNames`. */
  keys: Uint32Array;
  partitions: Uint32Array;
  offsets: Uint32Array;
  /** ms since the run's start; records of an earlier run have 0. */
  appendedMs: Uint32Array;
  /** Bits of {@link repeat} and {@link misplaced}. */
  flags: Uint32Array;
  keyNames: readonly string[];
  /** Rows of an id, in the order of the log. */
  rowsOf(id: number): readonly number[];
}

/** Its sequence is not above its key's last: an OWN stream never shows it, an ALL stream may. */
export const repeat = 1;
/** Without a key, or in another partition than its key's: only ALL streams show it. */
export const misplaced = 2;

export interface TruthOptions {
  kafka: readonly string[];
  partitions: number;
  /** Of the run, by the clock, ms. */
  startMs: number;
  ids: Ids;
}

/**
 * What records say that are not to be committed: none of them is true. It is not left to kafkajs, which may take records of
 * aborted transactions that lie across each other for committed.
 */
export const abortedHeaders = { chaos_outcome: 'aborted' } as const;

/** Whether a value fits the type that the chaos app gives the topic. */
const fits: Readonly<Record<string, (value: Record<string, unknown>) => boolean>> = {
  ticks: ({ n, pad }) => Number.isSafeInteger(n) && (pad === undefined || pad === null || typeof pad === 'string'),
  balance_changed: ({ id, iban, newBalance, changedBy, fromTo, direction, descr, time }) =>
    [id, iban, fromTo, descr, time].every(text => typeof text === 'string') &&
    [newBalance, changedBy].every(Number.isSafeInteger) &&
    (direction === 'DEBIT' || direction === 'CREDIT'),
};

/** Reads a whole topic, independently of the product's own reader. @param also is shown every record, even what fits no stream. */
export async function readTruth(
  topic: string,
  options: TruthOptions,
  also: (record: DumpedRecord) => void,
): Promise<TopicTruth> {
  const builder = truthBuilder(topic, options);
  const visit = (record: DumpedRecord) => {
    if (record.headers.chaos_outcome === abortedHeaders.chaos_outcome) return;
    builder.add(record);
    also(record);
  };
  await visitTopic(testKafka(options.kafka), topic, visit, 180_000);
  return builder.done();
}

export function truthBuilder(topic: string, { partitions, startMs, ids: known }: Omit<TruthOptions, 'kafka'>) {
  const columns = {
    ids: new Numbers(),
    keys: new Numbers(),
    partitions: new Numbers(),
    offsets: new Numbers(),
    appendedMs: new Numbers(),
    flags: new Numbers(),
  };
  const keyNames: string[] = [];
  const keyIndexes = new Map<string, number>();
  const lastSequences = new Map<string, number>();
  const first = new Map<number, number>();
  const more = new Map<number, number[]>();

  function add({ key: given, value, partition, offset, timestampMs, headers }: DumpedRecord): void {
    const key = given ?? '';
    if (value === null || !fits[topic]?.(value)) return;
    let flags = given !== null && partitionOf(key, partitions) === partition ? 0 : misplaced;
    const sequence = headers.ce_keysequence === undefined ? undefined : Number(headers.ce_keysequence);
    if (sequence !== undefined && flags === 0) {
      if (sequence <= (lastSequences.get(key) ?? -1)) flags |= repeat;
      else lastSequences.set(key, sequence);
    }
    const id = known.of(topic, value.n ?? value.id);
    const row = columns.ids.length;
    if (!first.has(id)) first.set(id, row);
    else more.set(id, [...(more.get(id) ?? []), row]);
    const keyIndex = keyIndexes.get(key) ?? keyNames.push(key) - 1;
    keyIndexes.set(key, keyIndex);
    columns.ids.push(id);
    columns.keys.push(keyIndex);
    columns.partitions.push(partition);
    columns.offsets.push(offset);
    columns.appendedMs.push(Math.max(0, timestampMs - startMs));
    columns.flags.push(flags);
  }

  return {
    add,
    done: (): TopicTruth => ({
      topic,
      rows: columns.ids.length,
      ids: columns.ids.view(),
      keys: columns.keys.view(),
      partitions: columns.partitions.view(),
      offsets: columns.offsets.view(),
      appendedMs: columns.appendedMs.view(),
      flags: columns.flags.view(),
      keyNames,
      rowsOf(id) {
        const row = first.get(id);
        return row === undefined ? [] : [row, ...(more.get(id) ?? [])];
      },
    }),
  };
}
