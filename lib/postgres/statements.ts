import { createHash } from 'node:crypto';
import type { Writable } from 'node:stream';
import type pg from 'pg';

/**
 * For connections with statements outside of a transaction that names its isolation level. A database may have another
 * default, under which a statement that meets a concurrent change fails instead of looking at the row again.
 */
export const readCommitted = "SET default_transaction_isolation = 'read committed'";

/**
 * For connections whose statements look up keys, in tables that grow from nothing or are empty one moment and full the
 * next. A plan made from the statistics of the wrong moment reads all of a table for each batch (seen: all of the outbox
 * for each row to delete). So plans do without statistics: sequential scans are off, statements are planned once (which
 * was a fifth of a small batch's cost), and where a join could walk a whole index, a lateral subquery with OFFSET 0 keeps
 * it a look-up. Includes {@link readCommitted}.
 */
export const keyLookupsOnly = `${readCommitted}; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET jit = off`;

const names = new Map<string, string>();
/** Whoever builds SQL anew for each batch gets unnamed statements instead of an endless cache. */
const maxNames = 500;

/** A name under which a connection prepares this text once; undefined where there are too many texts. */
export function preparedName(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined) return known;
  if (names.size >= maxNames) return undefined;
  const name = `penstock_${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
  names.set(text, name);
  return name;
}

const gathering = new WeakSet<Partial<Writable>>();

/**
 * Called before a statement of a pipelining client: what is sent before the event loop's turn is over leaves in one
 * write. Otherwise pg writes each statement by itself, and each write wakes the server for nothing.
 */
export function gather(client: pg.ClientBase): void {
  const stream = (client as { connection?: { stream?: Partial<Writable> } }).connection?.stream;
  if (stream === undefined || gathering.has(stream)) return;
  gathering.add(stream);
  stream.cork?.();
  setImmediate(() => {
    gathering.delete(stream);
    stream.uncork?.();
  });
}

/** A statement in a transaction that has failed already. */
const inFailedTransaction = '25P02';

/**
 * Waits for all, then rejects: of pipelined statements with the cause, and not with what came of it. Nothing of them is
 * under way any more then.
 */
export async function allOf<T extends readonly unknown[]>(promises: { [K in keyof T]: Promise<T[K]> }): Promise<T> {
  const results = await Promise.allSettled(promises as readonly Promise<unknown>[]);
  const failures = results.filter(result => result.status === 'rejected');
  const cause = failures.find(({ reason }) => reason?.code !== inFailedTransaction) ?? failures[0];
  if (cause !== undefined) throw cause.reason;
  return results.map(result => (result as PromiseFulfilledResult<unknown>).value) as unknown as T;
}
