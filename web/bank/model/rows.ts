import type { TransactionFieldsFragment } from '../graphql/documents.ts';

/** One line of the list. */
export interface Row {
  readonly transaction: TransactionFieldsFragment;
  /** It came while the page was open, and not with a query. */
  readonly isArrival: boolean;
}

/** What is shown of the transactions, newest first. */
export interface Rows {
  readonly rows: readonly Row[];
  /** Where the query for older ones goes on; undefined where rows were dropped at the end, or nothing has been read yet. */
  readonly endCursor: string | undefined;
  readonly hasOlder: boolean;
  /** The most rows that are kept. It grows as the user asks for older ones. */
  readonly limit: number;
}

export interface Page {
  readonly edges: readonly { readonly node: TransactionFieldsFragment }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

export const pageSize = 50;
/** Rows that are kept without being asked for. */
export const usualLimit = 200;

export const noRows: Rows = { rows: [], endCursor: undefined, hasOlder: false, limit: usualLimit };

/** Returns the rows of a new snapshot. Those that arrived before are not arrivals any more. */
export function ofSnapshot(page: Page): Rows {
  return withOlder(noRows, page);
}

/** Returns the rows with a new one on top. Beyond the limit the oldest ones go; they can be read again. */
export function withArrival(before: Rows, transaction: TransactionFieldsFragment): Rows {
  if (before.rows.some(row => row.transaction.id === transaction.id)) return before;
  const rows = [{ transaction, isArrival: true }, ...before.rows];
  if (rows.length <= before.limit) return { ...before, rows };
  return { ...before, rows: rows.slice(0, before.limit), endCursor: undefined, hasOlder: true };
}

/** Returns the rows with a page of older ones behind them; the limit has room for what the user asked for. */
export function withOlder(before: Rows, { edges, pageInfo }: Page): Rows {
  const known = new Set(before.rows.map(({ transaction }) => transaction.id));
  const older = edges.flatMap(({ node }) => (known.has(node.id) ? [] : [{ transaction: node, isArrival: false }]));
  const rows = [...before.rows, ...older];
  return {
    rows,
    endCursor: pageInfo.endCursor ?? undefined,
    hasOlder: pageInfo.hasNextPage,
    limit: Math.max(before.limit, rows.length),
  };
}

/** Returns the variables of the query for older rows. Where the cursor is gone, everything from the newest on is read again. */
export function olderVariables({ rows, endCursor }: Rows): { first: number; after?: string } {
  return endCursor === undefined ? { first: rows.length + pageSize } : { first: pageSize, after: endCursor };
}
