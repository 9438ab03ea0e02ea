import type { ExecutionResult } from 'graphql-ws';
import type { Answer, StreamListener, User } from './user.ts';

/** What the tests say to the bank. */
export const openAccount = 'mutation($id: ID) { openAccount(commandId: $id) { commandId success reason iban token } }';

export const transferMoney = `mutation($id: ID, $token: String!, $amount: Cents!, $from: String!, $to: String!, $descr: String = "test") {
  transferMoney(commandId: $id, token: $token, amount: $amount, from: $from, to: $to, descr: $descr) { commandId success reason }
}`;

export const transactions =
  'subscription { transactions { id iban changedBy newBalance fromTo direction descr time } }';

export interface Account {
  iban: string;
  token: string;
}

export interface Verdict {
  commandId: string;
  success: boolean;
  reason: string | null;
}

export async function account(user: User): Promise<Account> {
  const answer = await user.post(openAccount);
  const feedback = answer.data?.openAccount as (Account & Verdict) | undefined;
  if (!feedback?.success) throw new Error(`openAccount of ${user.name}: ${JSON.stringify(answer)}`);
  return { iban: feedback.iban, token: feedback.token };
}

export function verdictOf(answer: Answer | ExecutionResult): Verdict {
  const verdict = (answer.data as Record<string, Verdict> | null | undefined)?.transferMoney;
  if (verdict === undefined) throw new Error(`no verdict: ${JSON.stringify(answer)}`);
  return verdict;
}

export interface Transaction {
  id: string;
  iban: string;
  changedBy: number;
  newBalance: number;
  fromTo: string;
  direction: string;
  descr: string;
  time: string;
}

/** Collects what a stream of transactions delivers. */
export function collector(
  field = 'transactions',
): StreamListener & { got: Transaction[]; cursors: string[]; errors: unknown[] } {
  const got: Transaction[] = [];
  const cursors: string[] = [];
  const errors: unknown[] = [];
  return {
    got,
    cursors,
    errors,
    next(result) {
      const event = (result.data as Record<string, Transaction> | null | undefined)?.[field];
      if (event) got.push(event);
      if (result.errors) errors.push(...result.errors);
      if (typeof result.extensions?.cursor === 'string') cursors.push(result.extensions.cursor);
    },
    error: error => errors.push(error),
  };
}
