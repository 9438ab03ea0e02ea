/** Relay's network layer. `node relay.ts http://127.0.0.1:8080 alice` */
import { type CacheConfig, Network, Observable, type RequestParameters, type Variables } from 'relay-runtime';
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

/** Sends an operation of any kind. A subscription tells by `metadata` where it begins. */
function execute(
  { name, text }: RequestParameters,
  variables: Variables,
  { metadata }: CacheConfig,
): Observable<never> {
  return Observable.create(sink =>
    client.subscribe(
      {
        operationName: name,
        query: text ?? '',
        variables,
        extensions: metadata?.extensions as Record<string, unknown>,
      },
      {
        next: result => sink.next(result as never),
        error: problem => sink.error(problem instanceof Error ? problem : new Error(JSON.stringify(problem))),
        complete: () => sink.complete(),
      },
    ),
  );
}

/** `new Environment({ network, store })` takes it. */
export const network = Network.create(execute, execute);

/** What relay-compiler makes of a document. */
const compiled = (operationKind: 'subscription' | 'mutation', text: string): RequestParameters => ({
  ...{ operationKind, text, name: / (\w+)/.exec(text)?.[1] ?? '', id: null, cacheID: text, metadata: {} },
});

network
  .execute(compiled('subscription', transactions), {}, { metadata: { extensions: { from: 'earliest' } } })
  .subscribe({
    next: result => print({ event: (result as { data: { transactions: Transaction } }).data.transactions }),
    error: console.error,
  });

const command = { commandId: crypto.randomUUID(), ...payIn(account, 1) };
for (const variables of [command, command]) {
  const result = await network.execute(compiled('mutation', transferMoney), variables, {}).toPromise();
  print({ verdict: (result as { data: Transfer }).data.transferMoney });
}
