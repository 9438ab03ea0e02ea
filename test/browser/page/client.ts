/**
 * The page of `client.test.ts`, in the browser: one subscription of the bank, whose events it hands to the test, and what the test asks it
 * to do. The address names the user.
 */
import { createClient } from '@penstock/client';
import { transactions, transferMoney } from '../../client/bank.ts';

export interface Feedback {
  success: boolean;
  commandId: string;
}

/** What the test calls, in the page. */
export interface TestPage {
  state(): { status: string; reason?: string };
  /** Of all times. */
  reasons(): string[];
  counters(): { delivered: number; replayed: number; reconnects: number; moves: number };
  tokensAsked(): number;
  /** Pays in, as one command. */
  pay(variables: Record<string, unknown>, commandId?: string): Promise<Feedback>;
}

interface Host {
  location: { origin: string; search: string };
  localStorage: Storage;
  /** The test hears of an event. */
  penstockTestEvent(event: unknown): Promise<void>;
  testPage: TestPage;
}

const host = globalThis as unknown as Host;
const user = new URLSearchParams(host.location.search).get('user') ?? '';
const reasons: string[] = [];
let tokensAsked = 0;

const client = createClient({
  url: host.location.origin,
  storage: host.localStorage,
  async getToken() {
    tokensAsked++;
    const response = await fetch('/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: user, password: `${user}-password` }),
    });
    return ((await response.json()) as { accessToken: string }).accessToken;
  },
});
client.onState(({ status, reason }) => reasons.push(`${status}${reason ? `: ${reason}` : ''}`));

host.testPage = {
  state: () => client.state as ReturnType<TestPage['state']>,
  reasons: () => reasons,
  counters: () => ({ ...client.counters }),
  tokensAsked: () => tokensAsked,
  async pay(variables, commandId) {
    const paid = await client.command<{ transferMoney: Feedback }>({
      query: transferMoney,
      variables,
      ...(commandId !== undefined && { commandId }),
    });
    return paid.data.transferMoney;
  },
};

for await (const event of client.subscribe({ query: transactions, key: 'transactions' }))
  await host.penstockTestEvent(event);
