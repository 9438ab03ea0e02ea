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
  /** See {@link Outbox.beginRead}. */
  beginRead(): () => void;
  /** Hands rows out in order; returns those that were new. */
  publish(rows: readonly OutboxRow[]): readonly OutboxRow[];
  /** Whether more of a partition may be published now. */
  hasRoom(partition: number): boolean;
}

/** Selects what is left in the outbox where memory does not know it: after a gain, a notification, a failure, or by the clock. */
export interface Repair {
  request(partitions: Iterable<number>, scope: Scope): void;
  close(): Promise<void>;
}

interface Wish {
  scope: Scope;
  /** Not to be selected earlier, ms of the process's own clock. */
  notBefore: number;
}

/** What is selected at a time, of all partitions together. */
const limit = { rows: 1_000, bytes: 8_388_608 };
const urgency: readonly Scope[] = ['all', 'announced', 'old'];
/** Until a partition's next piece, which begins where acknowledged rows have been deleted; or until it is seen whether it has room, ms. */
const nextPieceMs = 50;
const retryMs = 500;

export function openRepair({ pool, log, owns, beginRead, publish, hasRoom }: RepairOptions): Repair {
  const wanted = new Map<number, Wish>();
  const asked = openSignal();
  const ending = new AbortController();
  const running = run();

  return {
    request: (partitions, scope) => request(partitions, scope),
    async close() {
      ending.abort();
      asked.raise();
      await running;
    },
  };

  function request(partitions: Iterable<number>, scope: Scope, notBefore = 0): void {
    for (const partition of partitions) {
      const before = wanted.get(partition);
      if (before === undefined) wanted.set(partition, { scope, notBefore });
      else if (urgency.indexOf(scope) < urgency.indexOf(before.scope)) before.scope = scope;
    }
    if (wanted.size > 0) asked.raise();
  }

  async function run(): Promise<void> {
    while (!ending.signal.aborted) {
      await asked.wait();
      while (wanted.size > 0 && !ending.signal.aborted) {
        const due = nextDue();
        if (due === undefined) await pause(nextPieceMs, ending.signal);
        else await repair(due.scope, due.partitions);
      }
    }
  }

  /** Partitions that can be served now, of the most urgent scope; those of others, and without room, wait for themselves alone. */
  function nextDue(): { scope: Scope; partitions: number[] } | undefined {
    const now = performance.now();
    for (const partition of [...wanted.keys()]) if (!owns(partition)) wanted.delete(partition);
    for (const scope of urgency) {
      const partitions = [...wanted]
        .filter(([partition, wish]) => wish.scope === scope && wish.notBefore <= now && hasRoom(partition))
        .map(([partition]) => partition);
      if (partitions.length > 0) return { scope, partitions };
    }
    return undefined;
  }

  async function repair(scope: Scope, partitions: readonly number[]): Promise<void> {
    for (const partition of partitions) wanted.delete(partition);
    const ended = beginRead();
    try {
      const { rows, cut } = await remaining(pool, partitions, scope, limit);
      const moved = new Set(publish(rows).map(({ partition }) => partition));
      const now = performance.now();
      for (const partition of cut) {
        request([partition], scope, now + (moved.has(partition) ? nextPieceMs : retryMs));
      }
    } catch (error) {
      log.warn({ reason: messageOf(error) }, 'the outbox could not be read; trying again');
      request(partitions, scope, performance.now() + retryMs);
    } finally {
      ended();
    }
  }
}
