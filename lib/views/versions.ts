import type { TablePlan } from '../app/plan.ts';
import { layoutOf, type TableLayout } from './layout.ts';
import { parseTablePlan } from './plan-json.ts';

/** One version of a table. A query reads the live one; the projectors feed it; another may be under construction. */
export interface TableVersion {
  id: number;
  table: string;
  version: number;
  fingerprint: string;
  /** As the version was built, which may be by another schema than ours. */
  plan: TablePlan;
  layout: TableLayout;
}

/** A row of `penstock.view_versions`, without the plan, which never changes. */
export interface VersionRow {
  id: number;
  table: string;
  version: number;
  relation: string;
  fingerprint: string;
}

export const liveVersionsSql = `SELECT id::float8 AS id, table_name AS "table", version, relation, fingerprint
  FROM penstock.view_versions WHERE state = 'live' ORDER BY table_name`;

/** Keeps the plans of versions that it has seen; they are read once each. */
export class VersionCache {
  readonly #versions = new Map<number, TableVersion>();

  async get(row: VersionRow, query: PlanQuery): Promise<TableVersion> {
    const known = this.#versions.get(row.id);
    if (known) return known;
    const plan = parseTablePlan(await readPlan(query, row.id));
    const { id, table, version, fingerprint } = row;
    const found: TableVersion = { id, table, version, fingerprint, plan, layout: layoutOf(plan, row.relation) };
    // Versions come one at a time, hours apart; the oldest is not read any more.
    if (this.#versions.size >= maxVersions) this.#versions.delete([...this.#versions.keys()][0] ?? -1);
    this.#versions.set(row.id, found);
    return found;
  }
}

const maxVersions = 1_000;

export type PlanQuery = (sql: string, values: readonly unknown[]) => Promise<readonly Record<string, unknown>[]>;

async function readPlan(query: PlanQuery, id: number): Promise<string> {
  const [row] = await query('SELECT plan::text AS plan FROM penstock.view_versions WHERE id = $1', [id]);
  if (typeof row?.plan !== 'string') throw new Error(`version ${id} of a table is not in penstock.view_versions`);
  return row.plan;
}
