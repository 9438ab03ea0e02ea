import pg from 'pg';

/** Somebody else has claimed these partitions, or moved them on: what memory says of them is wrong. */
export class FencedError extends Error {
  readonly lost: readonly { topic: string; partition: number }[];
  constructor(lost: readonly { topic: string; partition: number }[]) {
    super(`fenced: ${lost.map(({ topic, partition }) => `${topic}/${partition}`).join()}`);
    this.name = 'FencedError';
    this.lost = lost;
  }
}

/** The app threw, and not because of PostgreSQL. */
export class AppFaultError extends Error {
  constructor(doing: string, cause: unknown) {
    super(`the app failed to ${doing}`, { cause });
    this.name = 'AppFaultError';
  }
}

/**
 * What a failed transaction calls for. `again`: the same once more, it was another transaction's fault (a deadlock).
 * `conflict`: once more, too, as a race for a unique key; but if it stays, it is the data. `data`: it will fail each time
 * because of what is in it. `lost`: the connection or the server; whether it was committed is unknown.
 */
export type FailureKind = 'again' | 'conflict' | 'data' | 'lost';

/** deadlock_detected, serialization_failure, lock_not_available. */
const again = new Set(['40P01', '40001', '55P03']);
const uniqueViolation = '23505';
/** Data exceptions, broken constraints, values beyond a limit of PostgreSQL. */
const ofData = ['22', '23', '54'];
/** What an app raises itself. */
const raised = 'P0001';

export function failureKindOf(error: unknown): FailureKind {
  if (error instanceof AppFaultError) return 'data';
  const code = error instanceof pg.DatabaseError ? error.code : undefined;
  if (code === undefined) return 'lost';
  if (again.has(code)) return 'again';
  if (code === uniqueViolation) return 'conflict';
  // A missing table, say, is an operator's matter: it waits.
  return code === raised || ofData.some(category => code.startsWith(category)) ? 'data' : 'lost';
}
