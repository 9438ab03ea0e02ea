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
  /** See `windowBytes` of sender.ts: partitions that Kafka does not acknowledge must not fill it with a piece each. */
  windowBytes: number;
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

/** What is selected at a time, of all partitions together; no more than a small part of the window. */
const limit = { rows: 1_000, bytes: 8_388_608, windowShare: 1 / 8 };
const urgency: readonly Scope[] = ['all', 'announced', 'old'];
/** Until a partition's next piece, which begins where acknowledged rows have been deleted; or until it is seen whether it has room, ms. */
const nextPieceMs = 50;
const retryMs = 500;

export function openRepair({ pool, log, owns, beginRead, publish, hasRoom, windowBytes }: RepairOptions): Repair {
  const piece = { rows: limit.rows, bytes: Math.min(limit.bytes, windowBytes * limit.windowShare) };
  const wanted = new Map<number, Wish>();
  /** Partitions of a select that failed: each is tried by itself, so that a backlog that takes too long hides no other. */
  const alone = new Set<number>();
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
    for (const partition of [...alone]) if (!owns(partition)) alone.delete(partition);
    for (const scope of urgency) {
      const partitions = [...wanted]
        .filter(([partition, wish]) => wish.scope === scope && wish.notBefore <= now && hasRoom(partition))
        .map(([partition]) => partition);
      const together = partitions.filter(partition => !alone.has(partition));
      if (partitions.length > 0) return { scope, partitions: together.length > 0 ? together : partitions.slice(0, 1) };
    }
    return undefined;
  }

  async function repair(scope: Scope, partitions: readonly number[]): Promise<void> {
    for (const partition of partitions) wanted.delete(partition);
    const ended = beginRead();
    try {
      const { rows, cut } = await remaining(pool, partitions, scope, piece);
      for (const partition of partitions) alone.delete(partition);
      const moved = new Set(publish(rows).map(({ partition }) => partition));
      const now = performance.now();
      for (const partition of cut) {
        request([partition], scope, now + (moved.has(partition) ? nextPieceMs : retryMs));
      }
    } catch (error) {
      log.warn({ event: 'outbox_unreadable', reason: messageOf(error) }, 'the outbox could not be read; trying again');
      for (const partition of partitions) alone.add(partition);
      request(partitions, scope, performance.now() + retryMs);
    } finally {
      ended();
    }
  }
}
