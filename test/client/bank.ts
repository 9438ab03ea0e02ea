import { type Client, type ClientOptions, createClient, type Event } from '@penstock/client';
import { logIn } from '../support/log-in.ts';
import { until } from '../support/until.ts';

export const openAccount = `mutation($commandId: ID) {
  openAccount(commandId: $commandId) { commandId success reason iban token }
}`;

export const transferMoney = `mutation($commandId: ID, $token: String!, $amount: Cents!, $from: String!, $to: String!) {
  transferMoney(commandId: $commandId, token: $token, amount: $amount, from: $from, to: $to, descr: "test") {
    commandId success reason
  }
}`;

export const transactions = 'subscription { transactions { changedBy newBalance } }';
export const account = '{ account { iban balance } }';

export interface Feedback {
  commandId: string;
  success: boolean;
  reason: string | null;
  iban: string;
  token: string;
}

export interface BankClient extends Client {
  iban: string;
  /** The account's secret. */
  secret: string;
  /** How often a token was asked for. */
  tokensAsked(): number;
  /** Another token of the same user. */
  login(): Promise<{ accessToken: string }>;
  /** Pays in, from cash. */
  pay(amount: number, commandId?: string): Promise<Feedback>;
}

export interface BankWishes extends Partial<ClientOptions> {
  /** Default: one of its own for each login. */
  token?: string;
}

/** A client of the bank, whose account is open. */
export async function openBank(url: string, user: string, { token, ...options }: BankWishes = {}): Promise<BankClient> {
  let asked = 0;
  const client = createClient({
    url,
    getToken: async () => {
      asked++;
      return token ?? logIn(url, user);
    },
    ...options,
  });
  const opened = await client.command<{ openAccount: Feedback }>({ query: openAccount });
  const { iban, token: secret } = opened.data.openAccount;
  return Object.assign(Object.create(client), {
    iban,
    secret,
    tokensAsked: () => asked,
    login: async () => ({ accessToken: await logIn(url, user) }),
    async pay(amount: number, commandId?: string) {
      const variables = { token: secret, amount, from: 'cash', to: iban };
      const paid = await client.command<{ transferMoney: Feedback }>({
        query: transferMoney,
        variables,
        ...(commandId !== undefined && { commandId }),
      });
      if (!paid.data?.transferMoney.success) throw new Error(`not paid: ${JSON.stringify(paid)}`);
      return paid.data.transferMoney;
    },
  });
}

export type Change = { transactions: { changedBy: number; newBalance: number } };

/** Collects the amounts of a subscription to transactions, as they come. */
export function collect(events: AsyncIterable<Event<object>>) {
  const all: Event<Change>[] = [];
  const state: { error?: unknown; isOver: boolean } = { isOver: false };
  const over = (async () => {
    for await (const event of events) all.push(event as Event<Change>);
  })()
    .catch(error => {
      state.error = error;
    })
    .finally(() => {
      state.isOver = true;
    });
  return {
    all,
    state,
    over,
    amounts: () => all.map(({ data }) => data.transactions.changedBy),
  };
}

export const untilStatus = (client: Client, status: Client['state']['status']) =>
  until(
    () => `${status}: it is ${JSON.stringify(client.state)}`,
    () => client.state.status === status,
  );
