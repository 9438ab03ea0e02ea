/** Server-sent events by the package `eventsource`. `node eventsource.ts http://127.0.0.1:8080 alice` */
import { EventSource } from 'eventsource';
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

const [url = 'http://127.0.0.1:8080', user = 'alice'] = process.argv.slice(2);
let accessToken = await logIn(url, user);
const account = await openAccount(url, accessToken);

/** Adds the access token, which a browser's own EventSource cannot, and renews it. */
async function authorized(input: string | URL, init: RequestInit): Promise<Response> {
  const send = () => {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${accessToken}`);
    return fetch(input, { ...init, headers });
  };
  let response = await send();
  if (response.status === 401) {
    accessToken = await logIn(url, user);
    response = await send();
  }
  // EventSource gives up for ever after any other status than 200. What passes has to look like a network that fails.
  if ([421, 429, 502, 503, 504].includes(response.status)) throw new TypeError(`the router answers ${response.status}`);
  return response;
}

interface Next {
  data?: { transactions: Transaction };
  errors?: { message: string; extensions?: { code?: string } }[];
}

/** Listens behind `cursor`; without one from the beginning of the log. */
function listen(cursor?: string): void {
  const address = new URL(`${url}/graphql`);
  address.searchParams.set('query', transactions);
  address.searchParams.set('extensions', JSON.stringify(cursor ? { cursor } : { from: 'earliest' }));
  // It reconnects by itself, and sends the newest cursor as Last-Event-ID, be it that of an event or of a ping.
  const source = new EventSource(address, { fetch: (input, init) => authorized(input, init) });
  let newest = cursor;
  let problem: string | undefined;
  source.addEventListener('ping', ({ lastEventId }) => {
    newest = lastEventId || newest;
  });
  source.addEventListener('next', ({ data, lastEventId }) => {
    const { data: event, errors } = JSON.parse(data) as Next;
    problem = errors?.[0]?.extensions?.code;
    if (event) print({ event: event.transactions });
    newest = lastEventId || newest;
  });
  // The operation is over: it was refused, or its access token has expired.
  source.addEventListener('complete', () => {
    source.close();
    if (problem === 'UNAUTHENTICATED') listen(newest);
    else console.error('refused:', problem);
  });
  source.addEventListener('error', ({ code, message }) => console.error('error:', code, message));
}

/** Sends a command until it has its verdict. By its id it happens once, however often it is sent. */
async function command(variables: { commandId: string } & Record<string, unknown>): Promise<Transfer['transferMoney']> {
  for (;;) {
    const response = await authorized(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: transferMoney, variables }),
    }).catch(() => undefined);
    const { data, errors = [] } = ((await response?.json().catch(() => ({}))) ?? {}) as { data?: Transfer } & Next;
    if (data?.transferMoney) return data.transferMoney;
    const code = errors[0]?.extensions?.code;
    if (code && !['COMMAND_PENDING', 'UNAVAILABLE', 'LIMIT_EXCEEDED'].includes(code)) throw new AggregateError(errors);
    await new Promise(resolve => setTimeout(resolve, 500));
  }
}

listen();
const variables = { commandId: crypto.randomUUID(), ...payIn(account, 1) };
for (let times = 0; times < 2; times++) print({ verdict: await command(variables) });
