import type { TransactionFieldsFragment } from '../../../web/bank/graphql/documents.ts';

/** Returns a transaction that is the n-th of its account. */
export function transaction(n: number, more: Partial<TransactionFieldsFragment> = {}): TransactionFieldsFragment {
  const changedBy = more.changedBy ?? n;
  return {
    id: `t-${n}`,
    newBalance: n * 100,
    changedBy,
    fromTo: 'NL00PENS0000000000',
    direction: changedBy < 0 ? 'DEBIT' : 'CREDIT',
    descr: `number ${n}`,
    time: '2026-01-01T00:00:00.000Z',
    ...more,
  };
}
