import { messageOf } from '../../lib/errors.ts';
import {
  headerText,
  type KafkaRecord,
  KafkaUnavailableError,
  keyText,
  OffsetOutOfRangeError,
  sequenceOf,
  type TopicPartition,
  type Topics,
} from '../../lib/kafka/index.ts';
import type { Logger } from '../../lib/ops/index.ts';
import { eventSource } from './event-record.ts';
import type { Trace } from './evidence.ts';
import { isCommandId, isUserKey } from './intake.ts';
import { boundsOf } from './log-bounds.ts';

export interface TailReading {
  topics: Pick<Topics, 'offsets' | 'fetch'>;
  /** Topics of events and feedback. */
  names: readonly string[];
  log: Logger;
}

export interface Tails {
  traces: Trace[];
  /** Partitions of which an end could not be read now, each with a topic whose it is; trying again may help. */
  unread: ReadonlyMap<number, string>;
}

/** Offsets that are read of the end of each log. */
const tailOffsets = 100;
const fetchBytes = 1_048_576;
/** Reads under way at the same time, each of one partition of one topic. */
const readsAtOnce = 8;

/**
 * Reads the ends of the event topics' partitions. A topic that is gone or that nobody can read tells nothing, and keeps nobody from
 * anything; one whose leader is away may tell something when it is back.
 * @param isDue whether an offset is still to be looked at.
 */
export async function readTails(
  { topics, names, log }: TailReading,
  partitions: readonly number[],
  isDue: (at: TopicPartition & { offset: number; topicId: string }) => boolean,
): Promise<Tails> {
  const traces: Trace[] = [];
  const unread = new Map<number, string>();
  const reads: (() => Promise<void>)[] = [];
  await Promise.all(names.map(name => plan(name).catch((error: unknown) => miss(error, name, partitions))));
  const next = async (): Promise<void> => {
    for (let read = reads.shift(); read !== undefined; read = reads.shift()) await read();
  };
  await Promise.all(Array.from({ length: readsAtOnce }, next));
  return { traces, unread };

  async function plan(topic: string): Promise<void> {
    const found = await boundsOf(topics, topic, partitions);
    for (const partition of partitions) {
      const bound = found.get(partition);
      if (bound === undefined) unread.set(partition, topic);
      else if (bound.start < bound.end) {
        reads.push(() =>
          readTail({ topic, partition }, bound).catch((error: unknown) => miss(error, topic, [partition])),
        );
      }
    }
  }

  async function readTail(at: TopicPartition, { start, end }: { start: number; end: number }): Promise<void> {
    for (let offset = Math.max(start, end - tailOffsets); offset < end; ) {
      const { records, nextOffset, topicId } = await topics.fetch(at, offset, fetchBytes);
      for (const record of records) {
        const trace = isDue({ ...at, offset: record.offset, topicId }) ? traceOf(record) : undefined;
        if (trace !== undefined) traces.push(trace);
      }
      if (nextOffset <= offset) return;
      offset = nextOffset;
    }
  }

  function miss(error: unknown, topic: string, missed: readonly number[]): void {
    if (error instanceof KafkaUnavailableError || error instanceof OffsetOutOfRangeError) {
      for (const partition of missed) unread.set(partition, topic);
      return;
    }
    const reason = messageOf(error);
    log.warn({ event: 'log_end_unreadable', topic, reason }, 'the end of a topic says nothing about the ledger');
  }
}

/** Undefined for a record that no handler has written. */
export function traceOf(record: KafkaRecord): Trace | undefined {
  const { topic, partition, offset, headers } = record;
  if (headerText(headers, 'ce_source') !== eventSource) return undefined;
  const [key, sequence] = [keyText(record), sequenceOf(record)];
  const [eventId, commandId] = [headerText(headers, 'ce_id'), headerText(headers, 'ce_commandid')];
  if (key === undefined || sequence === undefined || eventId === undefined || !isUserKey(key)) return undefined;
  if (commandId !== undefined && !isCommandId(commandId)) return undefined;
  return { topic, partition, offset, key, sequence, eventId, commandId };
}
