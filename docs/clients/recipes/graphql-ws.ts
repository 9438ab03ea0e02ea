/** Plain graphql-ws. `node graphql-ws.ts http://127.0.0.1:8080 alice` */
import {
  logIn,
  openAccount,
  payIn,
  print,
  type Transaction,
  type Transfer,
  transactions,
  transferMoney,
} from './bank.ts';
import { createResumingClient } from './resuming-client.ts';

const [url = 'http://127.0.0.1:8080', user = 'alice'] = process.argv.slice(2);
const account = await openAccount(url, await logIn(url, user));
const client = createResumingClient({ url, getToken: () => logIn(url, user) });

client.subscribe<{ transactions: Transaction }>(
  // Without a cursor it begins here. An application leaves `from` out (now), or begins behind a query, by its cursor.
  { query: transactions, extensions: { from: 'earliest' } },
  {
    next: ({ data }) => data && print({ event: data.transactions }),
    error: console.error,
    complete() {},
  },
);

/** Sends a mutation; after a reconnect graphql-ws sends it again under the same id. */
function mutate<Data>(query: string, variables: Record<string, unknown>): Promise<Data> {
  return new Promise((resolve, reject) => {
    client.subscribe<Data>(
      { query, variables },
      {
        next: ({ data, errors }) =>
          data && !errors ? resolve(data as Data) : reject(new AggregateError(errors ?? [])),
        error: reject,
        complete() {},
      },
    );
  });
}

// The same command twice, as after an answer that was lost: one payment, and the same verdict.
const command = { commandId: crypto.randomUUID(), ...payIn(account, 1) };
for (const variables of [command, command]) {
  print({ verdict: (await mutate<Transfer>(transferMoney, variables)).transferMoney });
}
