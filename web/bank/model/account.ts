import type { Client } from '@penstock/client';
import { type ReadonlySignal, signal } from '@preact/signals';
import { openReader } from '../../shared/iteration.ts';
import {
  AccountDocument,
  type AccountQuery,
  BalanceChangesDocument,
  type TransactionFieldsFragment,
} from '../graphql/documents.ts';

export type Account = NonNullable<AccountQuery['account']>;

export interface AccountFeed {
  /** Undefined until it is known; null before the user has opened one. */
  readonly account: ReadonlySignal<Account | null | undefined>;
  /** Reads it again until there is one: a view is a moment behind the command's verdict. */
  awaitOpening(): void;
  close(): void;
}

export interface AccountFeedParts {
  client: Pick<Client, 'live'>;
  onArrival(transaction: TransactionFieldsFragment, isReplayed: boolean): void;
  onError(error: unknown): void;
}

const lookAgainMs = 250;

/** Follows the user's account: its state, then every change of its balance behind exactly that state. */
export function openAccountFeed({ client, onArrival, onError }: AccountFeedParts): AccountFeed {
  const account = signal<Account | null>();
  let isAwaited = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const lookAgain = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => reader.start(), lookAgainMs);
  };
  const reader = openReader({
    begin: () => client.live({ query: AccountDocument, subscription: BalanceChangesDocument }),
    onItem({ snapshot, event }) {
      if (snapshot) {
        account.value = snapshot.data.account;
        if (isAwaited && account.value === null) lookAgain();
        return;
      }
      const { transactions } = event.data;
      const before = account.peek();
      if (before) account.value = { ...before, balance: transactions.newBalance };
      // Opened elsewhere: money has come to an account that this page does not know yet.
      else lookAgain();
      onArrival(transactions, event.replayed);
    },
    onError,
  });
  reader.start();

  return {
    account,
    awaitOpening() {
      isAwaited = true;
      if (!account.peek()) lookAgain();
    },
    close() {
      clearTimeout(timer);
      reader.stop();
    },
  };
}
