import { type Client, ConnectionError } from '@penstock/client';
import { computed, type ReadonlySignal, signal } from '@preact/signals';
import { openReader } from '../../shared/iteration.ts';
import { MatchingTransactionsDocument, TransactionsDocument } from '../graphql/documents.ts';
import { type Filters, matches, noFilters, variablesOf } from './filters.ts';
import { noRows, ofSnapshot, olderVariables, pageSize, type Row, withArrival, withOlder } from './rows.ts';

export interface TransactionFeed {
  /** What the filters let through, newest first. */
  readonly rows: ReadonlySignal<readonly Row[]>;
  readonly isLoaded: ReadonlySignal<boolean>;
  readonly hasOlder: ReadonlySignal<boolean>;
  readonly isLoadingOlder: ReadonlySignal<boolean>;
  readonly filters: ReadonlySignal<Filters>;
  narrow(filters: Filters): void;
  loadOlder(): Promise<void>;
  close(): void;
}

export interface TransactionFeedParts {
  client: Pick<Client, 'live' | 'query'>;
  onError(error: unknown): void;
}

/** Follows the list of transactions: a page of it, then every event behind exactly that page which the filters let through. */
export function openTransactionFeed({ client, onError }: TransactionFeedParts): TransactionFeed {
  const filters = signal(noFilters);
  const list = signal(noRows);
  const isLoaded = signal(false);
  const isLoadingOlder = signal(false);
  /** Grows with each new list: older rows that were asked for before do not belong to it. */
  let generation = 0;

  const reader = openReader({
    begin: () =>
      client.live({
        query: TransactionsDocument,
        variables: { first: pageSize },
        subscription: MatchingTransactionsDocument,
        subscriptionVariables: variablesOf(filters.peek()),
      }),
    onItem({ snapshot, event }) {
      if (snapshot) {
        generation++;
        list.value = ofSnapshot(snapshot.data.transactions);
        isLoaded.value = true;
      } else list.value = withArrival(list.peek(), event.data.transactions);
    },
    onError,
  });
  reader.start();

  return {
    rows: computed(() => list.value.rows.filter(({ transaction }) => matches(filters.value, transaction))),
    isLoaded,
    hasOlder: computed(() => list.value.hasOlder),
    isLoadingOlder,
    filters,
    narrow(wanted) {
      const before = JSON.stringify(variablesOf(filters.peek()));
      filters.value = wanted;
      // What only the page applies needs no other subscription.
      if (JSON.stringify(variablesOf(wanted)) !== before) reader.start();
    },
    async loadOlder() {
      if (isLoadingOlder.peek()) return;
      const asked = generation;
      isLoadingOlder.value = true;
      try {
        const { data } = await client.query({ query: TransactionsDocument, variables: olderVariables(list.peek()) });
        if (asked === generation) list.value = withOlder(list.peek(), data.transactions);
      } catch (error) {
        // No answer for half a minute: the button is there to ask again.
        if (!(error instanceof ConnectionError)) onError(error);
      } finally {
        isLoadingOlder.value = false;
      }
    },
    close: () => reader.stop(),
  };
}
