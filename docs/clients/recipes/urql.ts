/** urql. `node urql.ts http://127.0.0.1:8080 alice` */
import { Client, createRequest, type ExecutionResult, subscriptionExchange } from '@urql/core';
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
const socket = createResumingClient({ url, getToken: () => logIn(url, user) });

const client = new Client({
  url: `${url}/graphql`,
  exchanges: [
    subscriptionExchange({
      // Queries and mutations, too.
      enableAllOperations: true,
      forwardSubscription: ({ query = '', variables, extensions }) => ({
        subscribe(sink) {
          const unsubscribe = socket.subscribe(
            { query, variables: variables ?? null, extensions },
            { ...sink, next: result => sink.next(result as ExecutionResult) },
          );
          return { unsubscribe };
        },
      }),
    }),
  ],
});

client
  .executeSubscription<{ transactions: Transaction }>(createRequest(transactions, {}, { from: 'earliest' }))
  .subscribe(({ data, error }) => (data && !error ? print({ event: data.transactions }) : console.error(error)));

const command = { commandId: crypto.randomUUID(), ...payIn(account, 1) };
for (const variables of [command, command]) {
  const { data, error } = await client.mutation<Transfer>(transferMoney, variables).toPromise();
  if (!data) throw error;
  print({ verdict: data.transferMoney });
}
