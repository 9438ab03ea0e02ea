import type pg from 'pg';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/ops/index.ts';
import type { Outbox } from './outbox.ts';
import { remove } from './outbox-rows.ts';
import type { OutboxRow } from './types.ts';

/** Deletes acknowledged rows: with the next transaction where there is one soon, else in one of its own. */
export interface Cleaner {
  /** Something was acknowledged. */
  touch(): void;
  /** For the next transaction, to be followed by one of the next two. */
  take(): OutboxRow[];
  /** The transaction has deleted them. */
  deleted(rows: readonly OutboxRow[]): void;
  /** It has not, or nobody knows. */
  giveBack(rows: readonly OutboxRow[]): void;
  /** Deletes what there is. */
  close(): Promise<void>;
}

/** How long acknowledged rows wait for a transaction, ms. */
const patienceMs = 50;
const retryMs = 1_000;
/** Most rows that one statement deletes. */
const mostRows = 5_000;

export function openCleaner(outbox: Outbox, pool: pg.Pool, log: Logger): Cleaner {
  let timer: NodeJS.Timeout | undefined;
  let cleaning: Promise<boolean> = Promise.resolve(true);
  let closed = false;

  function schedule(ms: number): void {
    if (closed) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      cleaning = clean();
    }, ms);
  }

  /** False when rows are left that could not be deleted. */
  async function clean(): Promise<boolean> {
    const rows = outbox.takeAcknowledged(mostRows);
    if (rows.length === 0) return true;
    try {
      await remove(pool, rows);
    } catch (error) {
      log.warn(
        { event: 'outbox_cleaning_failed', reason: messageOf(error) },
        'published rows could not be deleted; trying again',
      );
      outbox.keep(rows);
      schedule(retryMs);
      return false;
    }
    outbox.deleted(rows);
    return rows.length < mostRows || clean();
  }

  return {
    touch: () => schedule(patienceMs),
    take() {
      clearTimeout(timer);
      timer = undefined;
      return outbox.takeAcknowledged(mostRows);
    },
    deleted: rows => outbox.deleted(rows),
    giveBack(rows) {
      if (rows.length === 0) return;
      outbox.keep(rows);
      schedule(retryMs);
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await cleaning;
      await clean();
    },
  };
}
