import type pg from 'pg';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/ops/index.ts';
import { remaining, type Scope } from './outbox-rows.ts';
import { openSignal, pause } from './signal.ts';
import type { OutboxRow } from './types.ts';

export interface RepairOptions {
  pool: pg.Pool;
  log: Logger;
  owns(partition: number): boolean;
  /** Hands rows out in order; returns how many were new. */
  publish(rows: readonly OutboxRow[]): number;
  /** Whether more may be published now. */
  hasRoom(): boolean;
}

/** Selects what is left in the outbox where memory does not know it: after a gain, a notification, a failure, or by the clock. */
export interface Repair {
  request(partitions: Iterable<number>, scope: Scope): void;
  close(): Promise<void>;
}

/** What is selected at a time. */
const limit = { rows: 1_000, bytes: 8_388_608 };
const urgency: readonly Scope[] = ['all', 'announced', 'old'];
/** Until the next piece, which begins where acknowledged rows have been deleted, ms. */
const nextPieceMs = 50;
const retryMs = 500;

export function openRepair({ pool, log, owns, publish, hasRoom }: RepairOptions): Repair {
  const wanted = new Map<number, Scope>();
  const asked = openSignal();
  const ending = new AbortController();
  const running = run();

  return {
    request,
    async close() {
      ending.abort();
      asked.raise();
      await running;
    },
  };

  function request(partitions: Iterable<number>, scope: Scope): void {
    for (const partition of partitions) {
      const before = wanted.get(partition);
      if (before === undefined || urgency.indexOf(scope) < urgency.indexOf(before)) wanted.set(partition, scope);
    }
    if (wanted.size > 0) asked.raise();
  }

  async function run(): Promise<void> {
    while (!ending.signal.aborted) {
      await asked.wait();
      while (!hasRoom() && !ending.signal.aborted) await pause(nextPieceMs, ending.signal);
      for (const scope of urgency) {
        if (ending.signal.aborted) return;
        await repair(scope);
      }
    }
  }

  async function repair(scope: Scope): Promise<void> {
    const partitions = [...wanted].filter(([, each]) => each === scope).map(([partition]) => partition);
    for (const partition of partitions) wanted.delete(partition);
    const owned = partitions.filter(owns);
    if (owned.length === 0) return;
    try {
      const piece = await remaining(pool, owned, scope, limit);
      const published = publish(piece.rows);
      if (piece.complete) return;
      await pause(published > 0 ? nextPieceMs : retryMs, ending.signal);
    } catch (error) {
      log.warn({ reason: messageOf(error) }, 'the outbox could not be read; trying again');
      await pause(retryMs, ending.signal);
    }
    request(owned, scope);
  }
}
