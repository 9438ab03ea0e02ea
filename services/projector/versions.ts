import type { TablePlan } from '../../lib/app/index.ts';
import {
  createTable,
  fingerprintOf,
  formatTablePlan,
  layoutOf,
  relationName,
  type TableVersion,
  viewMigrations,
} from '../../lib/views/index.ts';
import type { Queries } from './store.ts';

/** Advisory locks: `penstock views` for changes of the schema, and one a table for whoever builds a version of it. */
const migrationLock = 0x7076_6965;
const buildLockSpace = 0x7076_6275;

/** Creates what the views keep beside their rows. Others wait until the transaction ends. */
export async function migrateViews(queries: Queries): Promise<void> {
  await queries.query('SELECT pg_advisory_xact_lock($1)', [migrationLock]);
  for (const statement of viewMigrations) await queries.query(statement);
}

/** Whether this session may build the table now; it holds the right until it ends. */
export async function tryBuildLock(session: Queries, table: string): Promise<boolean> {
  const [row] = await session.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1, hashtext($2)) AS locked', [
    buildLockSpace,
    table,
  ]);
  return row?.locked === true;
}

/** A new, empty version of a table. */
export async function createVersion(
  queries: Queries,
  plan: TablePlan,
  state: 'building' | 'live',
): Promise<TableVersion> {
  const fingerprint = fingerprintOf(plan);
  const [last] = await queries.query<{ version: number }>(
    'SELECT coalesce(max(version), 0) AS version FROM penstock.view_versions WHERE table_name = $1',
    [plan.name],
  );
  const version = (last?.version ?? 0) + 1;
  const relation = relationName(plan.name, version);
  const [row] = await queries.query<{ id: number }>(
    `INSERT INTO penstock.view_versions (table_name, version, relation, state, plan, fingerprint)
     VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
    [plan.name, version, relation, state, formatTablePlan(plan), fingerprint],
  );
  if (!row) throw new Error(`no version of ${plan.name} was created`);
  const layout = layoutOf(plan, relation);
  for (const statement of createTable(layout)) await queries.query(statement);
  return { id: row.id, table: plan.name, version, fingerprint, plan, layout };
}

/** Takes the live version of tables out of use. Its rows stay until no snapshot can read them any more. */
export async function retireLive(queries: Queries, tables: readonly string[]): Promise<number> {
  const retired = await queries.query(
    `UPDATE penstock.view_versions SET state = 'retired', retired_xid = pg_current_xact_id(), retired_at = now()
     WHERE table_name = ANY($1::text[]) AND state = 'live' RETURNING id`,
    [tables],
  );
  return retired.length;
}

export async function makeLive(queries: Queries, version: TableVersion): Promise<void> {
  await queries.query(`UPDATE penstock.view_versions SET state = 'live' WHERE id = $1`, [version.id]);
}

/** Removes what an interrupted build of the table has left. Only for who holds its build lock. */
export async function dropUnfinished(queries: Queries, table: string): Promise<void> {
  const unfinished = await queries.query<{ id: number; relation: string }>(
    `SELECT id, relation FROM penstock.view_versions WHERE table_name = $1 AND state = 'building'`,
    [table],
  );
  for (const version of unfinished) await dropVersion(queries, version);
}

/** Positions, sequences and tombstones of a version under construction, or of none any more. */
export async function dropScope(queries: Queries, versionId: number): Promise<void> {
  await queries.query('DELETE FROM penstock.view_positions WHERE scope = $1', [versionId]);
  await queries.query('DELETE FROM penstock.view_sequences WHERE scope = $1', [versionId]);
}

async function dropVersion(queries: Queries, { id, relation }: { id: number; relation: string }): Promise<void> {
  await queries.query(`DROP TABLE IF EXISTS views.${quotedRelation(relation)}`);
  await dropScope(queries, id);
  await queries.query('DELETE FROM penstock.view_tombstones WHERE version_id = $1', [id]);
  await queries.query('DELETE FROM penstock.view_versions WHERE id = $1', [id]);
}

/**
 * A snapshot that was opened before the swap reads the old version: a dropped table is gone for it as well, so that it
 * must have ended. `backend_xmin` is the oldest transaction that a session's snapshot may still not see; the sessions of
 * other roles hide it, and are given a minute.
 */
const unreadVersions = `SELECT id, relation FROM penstock.view_versions AS retired WHERE state = 'retired'
  AND NOT EXISTS (
    SELECT FROM pg_stat_activity AS session
    WHERE session.datname = current_database() AND session.pid <> pg_backend_pid()
      AND CASE WHEN session.backend_type IS NULL THEN retired.retired_at > now() - interval '1 minute'
               ELSE age(session.backend_xmin) >= age(retired.retired_xid::xid) END
  )`;

/** Drops versions that nobody can read any more. Returns how many are left for later. */
export async function dropRetired(transaction: <R>(work: (queries: Queries) => Promise<R>) => Promise<R>) {
  const droppable = await transaction(queries => queries.query<{ id: number; relation: string }>(unreadVersions));
  for (const version of droppable) {
    await transaction(async queries => {
      // Autovacuum may be at work on it; it gives way. Anybody else should not be there: better later than in the way.
      await queries.query(`SET LOCAL lock_timeout = '2s'`);
      await dropVersion(queries, version);
    });
  }
  return transaction(async queries => {
    const [row] = await queries.query<{ count: number }>(
      `SELECT count(*) AS count FROM penstock.view_versions WHERE state = 'retired'`,
    );
    return row?.count ?? 0;
  });
}

function quotedRelation(relation: string): string {
  return `"${relation.replaceAll('"', '""')}"`;
}
