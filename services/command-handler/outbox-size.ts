import type pg from 'pg';
import { messageOf } from '../../lib/errors.ts';
import type { Closable, Logger } from '../../lib/ops/index.ts';
import { integers } from './binary-arrays.ts';
import type { OutboxSize } from './metrics.ts';

/** No more rows are counted: where there are more, the number that is told stays there. */
const mostRows = 100_000;

const none: OutboxSize = { records: 0, oldestSeconds: 0 };

/**
 * Counts what the partitions of this handler have in the outbox, also those rows that no memory of it knows.
 * @param intervalMs between two counts. The table is short where all is well, and then a count costs a look at an index.
 */
export function watchOutboxSize(
  pool: pg.Pool,
  owned: () => readonly number[],
  log: Logger,
  intervalMs = 15_000,
): Closable & { size(): OutboxSize } {
  let size = none;
  let countedAtMs = performance.now();
  let counting: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    counting = counting.then(count);
  }, intervalMs);
  timer.unref();

  /** Never rejects. A count that fails leaves the last one, which grows older. */
  async function count(): Promise<void> {
    const partitions = owned();
    try {
      const { rows } = await pool.query<OutboxSize>({
        name: 'penstock_outbox_size',
        text: `SELECT count(*)::float8 AS records,
            coalesce(extract(epoch FROM clock_timestamp() - min(written_at)), 0)::float8 AS "oldestSeconds"
          FROM (SELECT written_at FROM penstock.outbox WHERE partition = ANY($1::int[]) LIMIT ${mostRows}) AS counted`,
        values: [integers(partitions)],
      });
      size = rows[0] ?? none;
      countedAtMs = performance.now();
    } catch (error) {
      log.debug({ event: 'outbox_uncounted', reason: messageOf(error) }, 'the outbox could not be counted');
    }
  }

  return {
    size: () =>
      size.records === 0
        ? none
        : { ...size, oldestSeconds: size.oldestSeconds + (performance.now() - countedAtMs) / 1_000 },
    async close() {
      clearInterval(timer);
      await counting;
    },
  };
}
