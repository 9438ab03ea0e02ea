import type {
  Direction,
  MatchingTransactionsSubscriptionVariables,
  TransactionFieldsFragment,
} from '../graphql/documents.ts';

/** What the list is narrowed to. */
export interface Filters {
  readonly direction: Direction | undefined;
  /** Least amount that moved, in cents, in whichever direction. */
  readonly minimumCents: number | undefined;
  /** Empty: any. Upper and lower case matter, as they do for the servers. */
  readonly description: string;
}

export const noFilters: Filters = { direction: undefined, minimumCents: undefined, description: '' };

/**
 * Returns the part of the filters that the servers apply to events. Their `minAmount` and `maxAmount` compare the signed change, so
 * that a least amount can be told to them only where the direction is known; `matches` does the rest.
 */
export function variablesOf({
  direction,
  minimumCents,
  description,
}: Filters): MatchingTransactionsSubscriptionVariables {
  return {
    direction: direction ?? null,
    minAmount: direction === 'CREDIT' ? (minimumCents ?? null) : null,
    maxAmount: direction === 'DEBIT' && minimumCents !== undefined ? -minimumCents : null,
    descrIncludes: description === '' ? null : description,
  };
}

/** Whether a transaction is shown: for rows that come with a query, which knows no filters. */
export function matches(
  { direction, minimumCents = 0, description }: Filters,
  transaction: TransactionFieldsFragment,
): boolean {
  return (
    (direction === undefined || transaction.direction === direction) &&
    Math.abs(transaction.changedBy) >= minimumCents &&
    transaction.descr.includes(description)
  );
}

export function isNarrowed({ direction, minimumCents, description }: Filters): boolean {
  return direction !== undefined || minimumCents !== undefined || description !== '';
}
