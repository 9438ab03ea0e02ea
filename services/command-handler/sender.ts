import { messageOf } from '../../lib/errors.ts';
import { type Lanes, TooLargeError } from '../../lib/kafka/index.ts';
import type { Logger } from '../../lib/ops/index.ts';
import { eventRecord, stubRecord } from './event-record.ts';
import type { OutboxRow } from './types.ts';

export interface SenderOptions {
  lanes: Pick<Lanes, 'send'>;
  log: Logger;
  /** Bytes handed to the lanes and not yet acknowledged, beyond which there is no room for more. */
  windowBytes: number;
  /** There is room again. */
  onRoom(): void;
  onAcknowledged(row: OutboxRow): void;
  /** The row will not be written by this attempt, nor any row of its key that was sent behind it. */
  onGivenUp(row: OutboxRow, canHelp: 'at once' | 'later'): void;
}

export interface Sender {
  /** In this order within each topic and partition. */
  send(rows: readonly OutboxRow[]): void;
  hasRoom(): boolean;
  /** Age of the oldest row that is not acknowledged, ms; 0 when there is none. */
  oldestMs(): number;
}

/** How many of them are remembered; one that is forgotten is refused once more. */
const mostTooLarge = 10_000;

/** Rows of the outbox → lanes. Rows that Kafka will never take for their size are sent as stubs. */
export function openSender({ lanes, log, windowBytes, onRoom, onAcknowledged, onGivenUp }: SenderOptions): Sender {
  const underWay = new Map<OutboxRow, { sinceMs: number; sizeBytes: number }>();
  /** How often a row was too large, by {@link nameOf}: forgotten when it is acknowledged. */
  const tooLarge = new Map<string, number>();
  let bytes = 0;

  return {
    send(rows) {
      for (const row of rows) start(row);
    },
    hasRoom: () => bytes < windowBytes,
    oldestMs() {
      for (const { sinceMs } of underWay.values()) return Date.now() - sinceMs;
      return 0;
    },
  };

  function start(row: OutboxRow): void {
    const sizeBytes = row.value.length + row.key.length + 512;
    underWay.set(row, { sinceMs: Date.now(), sizeBytes });
    bytes += sizeBytes;
    const stubs = tooLarge.size === 0 ? 0 : (tooLarge.get(nameOf(row)) ?? 0);
    const record = stubs === 0 ? eventRecord(row) : stubRecord(row, stubs > 1);
    lanes.send(row, record).then(
      () => {
        settle(row);
        if (stubs > 0) tooLarge.delete(nameOf(row));
        onAcknowledged(row);
      },
      (error: unknown) => {
        settle(row);
        refuse(row, error);
      },
    );
  }

  function settle(row: OutboxRow): void {
    const wasFull = bytes >= windowBytes;
    bytes -= underWay.get(row)?.sizeBytes ?? 0;
    underWay.delete(row);
    if (wasFull && bytes < windowBytes) onRoom();
  }

  function refuse(row: OutboxRow, error: unknown): void {
    const place = { topic: row.topic, partition: row.partition, sequence: row.sequence };
    if (error instanceof TooLargeError) {
      log.error({ ...place, reason: messageOf(error) }, 'an event is too large for its topic: a stub takes its place');
      if (tooLarge.size >= mostTooLarge) tooLarge.clear();
      tooLarge.set(nameOf(row), (tooLarge.get(nameOf(row)) ?? 0) + 1);
      onGivenUp(row, 'at once');
      return;
    }
    log.warn({ ...place, reason: messageOf(error) }, 'an event was not written; it stays in the outbox');
    onGivenUp(row, 'later');
  }
}

function nameOf({ key, sequence }: OutboxRow): string {
  return `${sequence}\u0000${key}`;
}
