import { type Client, createClient, UnauthorizedError } from '@penstock/client';
import { type Counts, openComparison } from './comparison.ts';
import {
  ChangesDocument,
  NewestDocument,
  type NewestQuery,
  OpenDocument,
  PayDocument,
  ViewDocument,
  type ViewQuery,
} from './graphql/documents.ts';

export interface Account {
  iban: string;
  token: string;
}

/** A simulated user of the bank: a real one to the servers, with a connection of its own. */
export interface Customer {
  name: string;
  client: Client;
  counts(): Counts;
  /** Logs in (signs up at the first time), opens the account and begins to listen. Resolves when it listens. */
  start(): Promise<Account>;
  /** Pays whole cents. @returns whether the bank took it. */
  pay(amount: number, to: string, from?: string): Promise<boolean>;
  /** Compares what has arrived with the view. */
  compare(): Promise<void>;
  close(): void;
}

type Page = ViewQuery['transactions'];

/** A comparison looks through so many pages of the view at most. */
const mostPages = 20;

export function openCustomer(name: string, password: string): Customer {
  const client = createClient({ url: location.origin, getToken: () => logIn(name, password) });
  const comparison = openComparison();
  /** The newest event from before the beginning; undefined: there was none. */
  let before: string | undefined;
  let account: Account | undefined;

  async function start(): Promise<Account> {
    const { data, errors } = await client.command({ query: OpenDocument });
    if (!data) throw new Error(`${errors?.[0]?.message ?? 'no answer'} (they need the app apps/bank)`);
    const { iban, token, reason } = data.openAccount;
    if (iban === null || token === null) throw new Error(`no account: ${reason}`);
    account = { iban, token };
    await new Promise<void>((resolve, reject) => {
      listen(resolve).catch(reject);
    });
    return account;
  }

  async function listen(begun: () => void): Promise<void> {
    const live = client.live({ query: NewestDocument, subscription: ChangesDocument });
    for await (const { snapshot, event } of live) {
      if (snapshot) {
        before = newestOf(snapshot.data);
        begun();
      } else if (event.data) comparison.arrived(event.data.transactions.id);
    }
  }

  async function compare(): Promise<void> {
    const view: string[] = [];
    let after: string | null = null;
    for (let page = 0; page < mostPages; page++) {
      const transactions: Page | undefined = await pageBehind(after);
      if (transactions === undefined) return; // of a view that is not served now, nothing can be said
      for (const { node } of transactions.edges) {
        if (node.id === before) return comparison.compare(view, performance.now());
        view.push(node.id);
        if (comparison.isSettled(node.id)) return comparison.compare(view, performance.now());
      }
      if (!transactions.pageInfo.hasNextPage) break;
      after = transactions.pageInfo.endCursor;
    }
    comparison.compare(view, performance.now());
  }

  async function pageBehind(after: string | null): Promise<Page | undefined> {
    const { data } = await client.query({ query: ViewDocument, variables: { after } });
    return (data as ViewQuery | null)?.transactions;
  }

  return {
    name,
    client,
    counts: comparison.counts,
    start,
    async pay(amount, to, from = account?.iban ?? '') {
      const variables = { token: account?.token ?? '', amount, from, to };
      const commandId = crypto.randomUUID();
      const { data } = await client.command({ query: PayDocument, variables, commandId });
      return data?.transferMoney.success === true;
    },
    compare,
    close: client.close,
  };
}

function newestOf({ transactions }: NewestQuery): string | undefined {
  return transactions.edges[0]?.node.id;
}

async function logIn(username: string, password: string): Promise<string> {
  const response = await fetch('/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, password }),
  });
  if (response.status === 401) throw new UnauthorizedError('the simulated user has another password');
  if (!response.ok) throw new Error(`log-in: ${response.status}`);
  const { accessToken }: { accessToken: string } = await response.json();
  return accessToken;
}
