import type pg from 'pg';
import { messageOf } from '../../lib/errors.ts';
import type { Lanes } from '../../lib/kafka/index.ts';
import type { Ops } from '../../lib/ops/index.ts';
import type { PostgresAddress } from '../../lib/postgres/index.ts';
import { type Cleaner, openCleaner } from './cleaner.ts';
import type { HandlerMetrics } from './metrics.ts';
import { listen } from './notifications.ts';
import type { Outbox } from './outbox.ts';
import { announce } from './outbox-rows.ts';
import { publicationOf, type Written } from './publication.ts';
import { openRepair } from './repair.ts';
import { openSender } from './sender.ts';
import { pause } from './signal.ts';
import type { OutboxRow } from './types.ts';

export interface PublisherOptions {
  pool: pg.Pool;
  /** For LISTEN. */
  postgres: PostgresAddress;
  lanes: Pick<Lanes, 'send'>;
  outbox: Outbox;
  ops: Pick<Ops, 'log' | 'readiness' | 'tracer'>;
  metrics: HandlerMetrics;
  windowBytes: number;
  /** Partitions that are owned now. */
  owned(): readonly number[];
  onRoom(): void;
}

/** Publishes what the outbox holds for owned partitions, by the rule in outbox.ts. */
export interface Publisher {
  cleaner: Cleaner;
  gain(partition: number): void;
  lose(partition: number): void;
  /** After a commit. */
  publish(written: Written): void;
  /** Whether more may be published of a partition; else what its commands write waits in the outbox. */
  hasRoom(partition: number): boolean;
  /** Waits for what is under way, at most so long, and deletes what has been acknowledged. */
  close(patienceMs: number): Promise<void>;
}

/** How often rows are looked for that no notification has told of, ms. */
const pollMs = 1_000;
/** Waiting before a partition whose row was given up is begun anew, ms. */
const retryMs = 1_000;
/** Without an acknowledgement for so long, a partition is stuck, and the handler says so in its readiness, ms. */
const stalledMs = 5_000;
/** How many stuck partitions that reason names. */
const mostNamed = 3;

export function openPublisher(options: PublisherOptions): Publisher {
  const { pool, postgres, lanes, outbox, ops, metrics, windowBytes, owned, onRoom } = options;
  const { log, tracer } = ops;
  const cleaner = openCleaner(outbox, pool, log);
  /** Of each partition that is held: aborted when it is lost. */
  const holds = new Map<number, AbortController>();
  const signalOf = (partition: number): AbortSignal | undefined => holds.get(partition)?.signal;
  const sender = openSender({ lanes, log, tracer, windowBytes, signalOf, onRoom, onAcknowledged, onGivenUp });
  const repair = openRepair({
    pool,
    log,
    owns: partition => outbox.tenure(partition) !== undefined,
    hasRoom: sender.hasRoom,
    beginRead: outbox.beginRead,
    windowBytes,
    publish: hand,
  });
  const notifications = listen({
    address: postgres,
    ops,
    onRows: partitions => repair.request(partitions ?? owned(), partitions === undefined ? 'all' : 'announced'),
  });
  const ending = new AbortController();
  const polling = setInterval(poll, pollMs);
  /** Partitions whose tenure was begun anew and that wait for their select. */
  const mending = new Set<number>();

  return {
    cleaner,
    gain(partition) {
      holds.get(partition)?.abort();
      holds.set(partition, new AbortController());
      outbox.gain(partition);
      repair.request([partition], 'all');
    },
    lose(partition) {
      outbox.lose(partition);
      // Else they would be sent whenever Kafka takes them: long after somebody else has done so, perhaps.
      holds.get(partition)?.abort();
      holds.delete(partition);
    },
    publish,
    hasRoom: sender.hasRoom,
    async close(patienceMs) {
      clearInterval(polling);
      await Promise.all([notifications.close(), repair.close()]);
      const deadline = Date.now() + patienceMs;
      while (outbox.unacknowledged() > 0 && Date.now() < deadline) await pause(5, ending.signal);
      ending.abort();
      const left = outbox.unacknowledged();
      if (left > 0)
        log.warn(
          { event: 'outbox_left_unpublished', records: left },
          'not acknowledged in time; they stay in the outbox',
        );
      await cleaner.close();
    },
  };

  function publish(written: Written): void {
    const { rows, behind, foreign } = publicationOf(outbox, written, sender.hasRoom);
    sender.send(rows);
    repair.request(behind, 'all');
    if (foreign.size === 0) return;
    announce(pool, foreign).catch((error: unknown) => {
      log.warn(
        { event: 'outbox_notify_failed', reason: messageOf(error) },
        'could not notify other handlers; they poll',
      );
    });
  }

  function hand(rows: readonly OutboxRow[]): readonly OutboxRow[] {
    const fresh = outbox.learn(rows);
    sender.send(fresh);
    return fresh;
  }

  function onAcknowledged(row: OutboxRow): void {
    outbox.acknowledge(row);
    cleaner.touch();
    metrics.published.inc({ topic: row.topic });
    if (row.appendedMs !== undefined) metrics.commandSeconds.observe(Math.max(0, Date.now() - row.appendedMs) / 1_000);
  }

  /** Rows of its key that were sent behind it are given up as well: all of the partition is learnt anew. */
  function onGivenUp(row: OutboxRow, canHelp: 'at once' | 'later'): void {
    // One of an earlier tenure: what remains has been learnt since, or is about to be.
    if (!outbox.abandon(row)) return;
    const { partition } = row;
    outbox.gain(partition);
    if (mending.has(partition)) return;
    mending.add(partition);
    void pause(canHelp === 'at once' ? 0 : retryMs, ending.signal).then(() => {
      mending.delete(partition);
      repair.request([partition], 'all');
    });
  }

  function poll(): void {
    repair.request(owned(), 'old');
    const stuck = [...sender.stalled(stalledMs)];
    metrics.stuckPartitions.set(stuck.length);
    ops.readiness.set('publishing', stuck.length === 0 ? undefined : reasonOf(stuck));
  }
}

function reasonOf(stuck: readonly string[]): string {
  const others = stuck.length > mostNamed ? ` and ${stuck.length - mostNamed} others` : '';
  return `Kafka has acknowledged nothing for ${stalledMs} ms of ${stuck.slice(0, mostNamed).join(', ')}${others}`;
}
