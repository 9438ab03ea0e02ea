/** What the recipes have in common: the documents of the bank, and a user of it. */

/** The sub-selection is yours; the cursor comes beside it, in `extensions`. */
export const transactions = 'subscription Transactions { transactions { id changedBy newBalance } }';

export const transferMoney = `mutation TransferMoney($commandId: ID, $token: String!, $amount: Cents!, $from: String!, $to: String!) {
  transferMoney(commandId: $commandId, token: $token, amount: $amount, from: $from, to: $to, descr: "recipe") {
    commandId success reason
  }
}`;

export interface Transaction {
  id: string;
  /** Cents; signed. */
  changedBy: number;
  newBalance: number;
}

export interface Transfer {
  transferMoney: { commandId: string; success: boolean; reason: string | null };
}

export interface Account {
  iban: string;
  /** The account's secret. */
  token: string;
}

/** Logs in at the router's own issuer; in the local stack an unknown name becomes a user. With OpenID Connect the token comes from there. */
export async function logIn(url: string, username: string): Promise<string> {
  const response = await fetch(`${url}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, password: `${username}-password` }),
  });
  if (!response.ok) throw new Error(`POST /login: ${response.status} ${await response.text()}`);
  return ((await response.json()) as { accessToken: string }).accessToken;
}

/** Opens the user's account; opening it again gives the same one. */
export async function openAccount(url: string, accessToken: string): Promise<Account> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query: 'mutation { openAccount { iban token } }' }),
  });
  const { data, errors } = (await response.json()) as { data?: { openAccount?: Account }; errors?: unknown };
  if (!data?.openAccount) throw new Error(`openAccount: ${JSON.stringify(errors)}`);
  return data.openAccount;
}

/** Variables of a payment from cash. */
export const payIn = ({ iban, token }: Account, amount: number) => ({ token, amount, from: 'cash', to: iban });

/** Prints what the recipe gets, a line of JSON for each event and each verdict. */
export const print = (line: { event: Transaction } | { verdict: Transfer['transferMoney'] }) =>
  console.log(JSON.stringify(line));
