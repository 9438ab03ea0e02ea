import { messageOf } from '../../lib/errors.ts';
import { type Lanes, TooLargeError } from '../../lib/kafka/index.ts';
import { beginSend, type Logger, type Tracer } from '../../lib/ops/index.ts';
import { eventRecord, stubRecord } from './event-record.ts';
import type { OutboxRow } from './types.ts';

export interface SenderOptions {
  lanes: Pick<Lanes, 'send'>;
  log: Logger;
  tracer: Tracer | undefined;
  /** Bytes handed to the lanes and not yet acknowledged, of all partitions together; see {@link Sender.hasRoom}. */
  windowBytes: number;
  /** Aborted when the partition is lost: what is not on its way by then is not sent. */
  signalOf(partition: number): AbortSignal | undefined;
  /** There is room again for a partition that had none. */
  onRoom(): void;
  onAcknowledged(row: OutboxRow): void;
  /** The row will not be written by this attempt, nor any row of its key that was sent behind it. */
  onGivenUp(row: OutboxRow, canHelp: 'at once' | 'later'): void;
}

export interface Sender {
  /** In this order within each topic and partition. */
  send(rows: readonly OutboxRow[]): void;
  /**
   * Whether more of a partition's rows may be sent. A partition may hold as much of the window as it leaves free, so that
   * one that Kafka does not acknowledge takes half of it and no more, and each further one half of what is left (the
   * dynamic threshold of Choudhury and Hahne, "Dynamic queue length thresholds", 1998). One with nothing under way has room.
   */
  hasRoom(partition: number): boolean;
  /** Topics and partitions with a row that has waited for its acknowledgement for longer than this, as `topic/partition`. */
  stalled(ms: number): ReadonlySet<string>;
}

/** How many of them are remembered; one that is forgotten is refused once more. */
const mostTooLarge = 10_000;

/** Rows of the outbox → lanes. Rows that Kafka will never take for their size are sent as stubs. */
export function openSender(options: SenderOptions): Sender {
  const { lanes, log, tracer, windowBytes, signalOf, onRoom, onAcknowledged, onGivenUp } = options;
  const underWay = new Map<OutboxRow, { sinceMs: number; sizeBytes: number }>();
  /** How often a row was too large, by {@link nameOf}: forgotten when it is acknowledged. */
  const tooLarge = new Map<string, number>();
  let bytes = 0;
  const bytesOf = new Map<number, number>();
  /** Partitions for which there was no room when somebody asked. */
  const refused = new Set<number>();

  return {
    send(rows) {
      for (const row of rows) start(row);
    },
    hasRoom(partition) {
      if (fits(partition, 1)) return true;
      refused.add(partition);
      return false;
    },
    stalled(ms) {
      const names = new Set<string>();
      const latest = performance.now() - ms;
      for (const [{ topic, partition }, { sinceMs }] of underWay) {
        if (sinceMs > latest) break; // they are in the order in which they were sent
        names.add(`${topic}/${partition}`);
      }
      return names;
    },
  };

  function fits(partition: number, share: number): boolean {
    const own = bytesOf.get(partition) ?? 0;
    return own === 0 || own * share < windowBytes - bytes;
  }

  function start(row: OutboxRow): void {
    const sizeBytes = row.value.length + row.key.length + 512;
    underWay.set(row, { sinceMs: performance.now(), sizeBytes });
    add(row.partition, sizeBytes);
    const stubs = tooLarge.size === 0 ? 0 : (tooLarge.get(nameOf(row)) ?? 0);
    const span = tracer && beginSend(tracer, row, row.traceparent, { 'messaging.message.id': row.eventId });
    const traceparent = span?.traceparent ?? row.traceparent;
    const record = stubs === 0 ? eventRecord(row, traceparent) : stubRecord(row, stubs > 1, traceparent);
    const signal = signalOf(row.partition);
    lanes.send(row, record, signal).then(
      ({ offset }) => {
        span?.set({ 'messaging.kafka.offset': offset });
        span?.end();
        settle(row);
        if (stubs > 0) tooLarge.delete(nameOf(row));
        onAcknowledged(row);
      },
      (error: unknown) => {
        span?.end(error instanceof Error ? error.name : 'Error');
        settle(row);
        if (signal?.aborted === true) onGivenUp(row, 'later');
        else refuse(row, error);
      },
    );
  }

  function add(partition: number, sizeBytes: number): void {
    bytes += sizeBytes;
    const own = (bytesOf.get(partition) ?? 0) + sizeBytes;
    if (own > 0) bytesOf.set(partition, own);
    else bytesOf.delete(partition);
  }

  function settle(row: OutboxRow): void {
    add(row.partition, -(underWay.get(row)?.sizeBytes ?? 0));
    underWay.delete(row);
    // Not at the first byte that is free: whoever is woken shall have something to send.
    if (refused.size === 0 || ![...refused].some(partition => fits(partition, 2))) return;
    refused.clear();
    onRoom();
  }

  function refuse(row: OutboxRow, error: unknown): void {
    const place = { topic: row.topic, partition: row.partition, sequence: row.sequence, traceparent: row.traceparent };
    if (error instanceof TooLargeError) {
      log.error(
        { event: 'event_too_large', ...place, reason: messageOf(error) },
        'an event is too large for its topic: a stub takes its place',
      );
      if (tooLarge.size >= mostTooLarge) tooLarge.clear();
      tooLarge.set(nameOf(row), (tooLarge.get(nameOf(row)) ?? 0) + 1);
      onGivenUp(row, 'at once');
      return;
    }
    log.warn(
      { event: 'event_not_written', ...place, reason: messageOf(error) },
      'an event was not written; it stays in the outbox',
    );
    onGivenUp(row, 'later');
  }
}

function nameOf({ key, sequence }: OutboxRow): string {
  return `${sequence}\u0000${key}`;
}
