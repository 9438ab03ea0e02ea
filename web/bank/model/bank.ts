import { type Client, type ClientStorage, createClient, type State, UnauthorizedError } from '@penstock/client';
import { type ReadonlySignal, signal } from '@preact/signals';
import { clientState } from '../../shared/client-state.ts';
import type { LoggedIn, Session } from '../../shared/session.ts';
import type { TransactionFieldsFragment } from '../graphql/documents.ts';
import { type Account, openAccountFeed } from './account.ts';
import { type Counter, openCounter, type Verdict } from './counter.ts';
import { afterGap, afterReplayed, afterState, type History, noHistory } from './outage.ts';
import { openTransactionFeed, type TransactionFeed } from './transactions.ts';

/** Everything that one user sees of the bank. */
export interface Bank {
  readonly user: LoggedIn;
  readonly connection: ReadonlySignal<State>;
  readonly history: ReadonlySignal<History>;
  readonly account: ReadonlySignal<Account | null | undefined>;
  readonly transactions: TransactionFeed;
  readonly counter: Counter;
  readonly verdict: ReadonlySignal<Verdict | undefined>;
  /** The newest transaction that came while the page was open. */
  readonly arrival: ReadonlySignal<TransactionFieldsFragment | undefined>;
  /** What keeps the page from going on, and does not pass by itself. */
  readonly failure: ReadonlySignal<string | undefined>;
  close(): void;
}

export interface BankParts {
  /** The router. */
  url: string;
  user: LoggedIn;
  session: Session;
  storage: Pick<Storage, keyof ClientStorage>;
  nowMs: () => number;
}

export function openBank({ url, user, session, storage, nowMs }: BankParts): Bank {
  const history = signal(noHistory);
  const arrival = signal<TransactionFieldsFragment>();
  const failure = signal<string>();

  const client: Client = createClient({
    url,
    storage,
    getToken: session.getToken,
    onGap() {
      history.value = afterGap(history.peek());
      return 'refetch';
    },
  });
  const connection = clientState(client);
  client.onState(state => {
    history.value = afterState(history.peek(), state, nowMs());
  });

  const onError = (error: unknown): void => {
    if (error instanceof UnauthorizedError) session.logOut('Your session has ended. Log in to go on.');
    else failure.value = error instanceof Error ? error.message : String(error);
  };
  const feed = openAccountFeed({
    client,
    onError,
    onArrival(transaction, isReplayed) {
      if (isReplayed) history.value = afterReplayed(history.peek());
      arrival.value = transaction;
    },
  });
  const transactions = openTransactionFeed({ client, onError });
  const counter = openCounter({ client, storage, username: user.username, feed, onError });

  return {
    user,
    connection,
    history,
    account: feed.account,
    transactions,
    counter,
    verdict: counter.verdict,
    arrival,
    failure,
    close() {
      counter.close();
      feed.close();
      transactions.close();
      client.close();
    },
  };
}
