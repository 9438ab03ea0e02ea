import type { Logger } from '../ops/index.ts';
import type { TopicPartition } from './types.ts';

/** A committed end that has stood still below the high watermark: what lies between waits for a transaction that is open. */
export interface Held {
  endOffset: number;
  /** When that was seen first, ms of the process's own clock. */
  sinceMs: number;
  told: boolean;
}

/** What follows from a broker's word on a partition's ends; `tell`: what is to be logged. */
export interface Observed {
  held: Held | undefined;
  tell: 'holds' | 'over' | undefined;
}

/** @param tellAfterMs how long a transaction may be open before it is told, once. */
export function observeEnds(
  before: Held | undefined,
  { endOffset, highWatermark }: { endOffset: number; highWatermark: number },
  nowMs: number,
  tellAfterMs: number,
): Observed {
  const isSame = before !== undefined && before.endOffset === endOffset && endOffset < highWatermark;
  if (isSame) {
    const isLate = !before.told && nowMs - before.sinceMs >= tellAfterMs;
    return { held: { ...before, told: before.told || isLate }, tell: isLate ? 'holds' : undefined };
  }
  const held = endOffset < highWatermark ? { endOffset, sinceMs: nowMs, told: false } : undefined;
  return { held, tell: before?.told === true ? 'over' : undefined };
}

/** Nobody reads behind a transaction that is open: one that is never ended must not hold up a partition in silence. */
export function watchTransactions(
  reading: TopicPartition & { endOffset: number; highWatermark: number; held: Held | undefined },
  log: Logger,
  tellAfterMs: number,
): void {
  const before = reading.held;
  const nowMs = performance.now();
  const { held, tell } = observeEnds(before, reading, nowMs, tellAfterMs);
  reading.held = held;
  if (tell === undefined || before === undefined) return;
  const { topic, partition, highWatermark } = reading;
  const place = { topic, partition, offset: before.endOffset, openMs: Math.round(nowMs - before.sinceMs) };
  if (tell === 'over')
    log.info({ event: 'open_transaction_over', ...place }, 'the open transaction that held up a partition is over');
  else
    log.warn(
      { event: 'open_transaction_blocks', ...place, highWatermark },
      'an open transaction holds up a partition: nothing behind it is read',
    );
}
