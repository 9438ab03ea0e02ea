import type pg from 'pg';
import type { Logger } from '../../lib/ops/index.ts';

/**
 * Tells when a connection leads to another PostgreSQL than the last one: after a failover, a restore or a restart. Everything that was
 * claimed is then to be claimed anew, and looked into (ledger-check.ts), before this process uses the new one: a partition
 * whose position happens to be right there would go on, and its keys' sequences may have gone back.
 */
export interface DatabaseWatch {
  /**
   * For each new connection, before anybody has it.
   * @throws Error for the first connection to another server or database; the next one is taken.
   */
  verify(client: pg.ClientBase): Promise<void>;
  /** What must happen, synchronously, before a connection to the other one is handed out. */
  onReplaced(listener: () => void): void;
}

export function watchDatabase(log: Logger): DatabaseWatch {
  let known: string | undefined;
  let listener: (() => void) | undefined;
  return {
    async verify(client) {
      // A standby that is promoted was started at another time; a restored copy has another oid.
      const { rows } = await client.query<{ identity: string }>(
        `SELECT concat(pg_postmaster_start_time(), ' ', oid) AS identity FROM pg_database WHERE datname = current_database()`,
      );
      const identity = rows[0]?.identity ?? '';
      const before = known;
      known = identity;
      if (before === undefined || before === identity) return;
      log.warn(
        { event: 'database_replaced', before, now: identity },
        'PostgreSQL was restarted or replaced: claiming anew',
      );
      listener?.();
      throw new Error('PostgreSQL was restarted or replaced: partitions are claimed anew');
    },
    onReplaced(given) {
      listener = given;
    },
  };
}
