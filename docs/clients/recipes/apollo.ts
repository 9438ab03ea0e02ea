/** Apollo Client 4. `node apollo.ts http://127.0.0.1:8080 alice` */
import { ApolloClient, gql, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
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

const client = new ApolloClient({
  link: new GraphQLWsLink(createResumingClient({ url, getToken: () => logIn(url, user) })),
  cache: new InMemoryCache(),
});

client
  .subscribe<{ transactions: Transaction }>({
    query: gql(transactions),
    // Events are no state: the cache would keep each of them for ever.
    fetchPolicy: 'no-cache',
    extensions: { from: 'earliest' },
  })
  .subscribe({
    next: ({ data, error }) => (data ? print({ event: data.transactions }) : console.error(error)),
    error: console.error,
  });

const command = { commandId: crypto.randomUUID(), ...payIn(account, 1) };
for (const variables of [command, command]) {
  const { data } = await client.mutate<Transfer>({ mutation: gql(transferMoney), variables });
  if (data) print({ verdict: data.transferMoney });
}
