import type { ExecutionResult } from 'graphql-ws';
import type { User } from '../support/user.ts';
import type { SentCommand } from './check.ts';
import type { Random } from './random.ts';

const open = 'mutation($id: ID) { openAccount(commandId: $id) { commandId success reason iban token } }';
const transfer = `mutation($id: ID, $token: String!, $amount: Cents!, $from: String!, $to: String!, $descr: String!) {
  transferMoney(commandId: $id, token: $token, amount: $amount, from: $from, to: $to, descr: $descr) { commandId success reason }
}`;

interface Account {
  iban: string;
  token: string;
}

/** What a user's client does; `freshIdOnRepeat` is a mutant: a caller that forgets its command id when it asks again. */
export interface Habits {
  freshIdOnRepeat: boolean;
}

/** How a verdict reads, in the client's answer and in the log alike. */
export function verdictText(fields: Record<string, unknown>): string {
  return ['success', 'reason', 'iban', 'token'].map(name => String(fields[name] ?? '')).join('|');
}

/** What a user's commands go by. */
export interface Share {
  random: Random;
  accounts: Map<string, Account>;
  /** Everything that was asked for, and what came of it. */
  sent: SentCommand[];
  habits?: Habits;
  /** How long a command may wait for its verdict before the run fails, ms; default 60,000. */
  patienceMs?: number;
  /** Asked before each command after the first: whether there is to be one more. */
  more(count: number): boolean | Promise<boolean>;
}

/**
 * One user's share of the run: opens an account, then random transfers, sound and unsound, one after the other; some are
 * sent twice at once, some again later with other arguments under the same id.
 */
export async function runUser(user: User, share: Share): Promise<void> {
  const { random, accounts } = share;
  const openAnew = () => settle(user, { type: 'openAccount', id: random.uuid(), query: open, variables: {} }, share);
  const opened = await openAnew();
  accounts.set(user.name, { iban: String(opened.iban), token: String(opened.token) });
  const send = (id: string, variables: Record<string, unknown>) =>
    settle(user, { type: 'transferMoney', id, query: transfer, variables }, share);
  let previous: { id: string; variables: Record<string, unknown> } | undefined;
  for (let count = 1; await share.more(count); count++) {
    const dice = random.next();
    if (dice < 0.02) {
      await openAnew();
      continue;
    }
    if (dice < 0.06 && previous) {
      // Other arguments under a used id change nothing: the first verdict stands.
      await send(previous.id, { ...previous.variables, amount: 1 });
      continue;
    }
    const variables = drawTransfer(user.name, random, accounts);
    const id = random.uuid();
    await (dice < 0.1 ? Promise.all([send(id, variables), send(id, variables)]) : send(id, variables));
    previous = { id, variables };
  }
}

function drawTransfer(name: string, random: Random, accounts: Map<string, Account>): Record<string, unknown> {
  const mine = accounts.get(name) ?? { iban: '', token: '' };
  const other = random.pick([...accounts.values()]).iban;
  const dice = random.next();
  if (dice < 0.25) return { from: 'cash', to: mine.iban, amount: random.integer(1, 50_000), token: mine.token };
  if (dice < 0.3)
    return { from: mine.iban, to: 'DE02120300000000202051', amount: random.integer(1, 9_000), token: mine.token };
  if (dice < 0.34) return { from: mine.iban, to: other, amount: random.integer(-5, 0), token: mine.token };
  if (dice < 0.38) return { from: mine.iban, to: other, amount: 10, token: 'guessed' };
  if (dice < 0.42) return { from: 'elsewhere', to: 'nowhere', amount: 10, token: mine.token };
  return { from: mine.iban, to: other, amount: random.integer(1, 30_000), token: mine.token };
}

interface Wish {
  type: string;
  id: string;
  query: string;
  variables: Record<string, unknown>;
}

/** Sends a command until its verdict is known, always under the same id (but for the mutant). */
async function settle(
  user: User,
  { type, id: commandId, query, variables }: Wish,
  { sent, habits, random, patienceMs = 60_000 }: Share,
): Promise<Record<string, unknown>> {
  const deadlineMs = performance.now() + patienceMs;
  let id = commandId;
  let why = '';
  for (let attempt = 1; ; attempt++) {
    let refusal: string | undefined;
    const entry: SentCommand = { user: user.name, commandId, type, observed: undefined };
    try {
      const answer = user.mutate(query, { ...variables, id, ...(type === 'transferMoney' && { descr: commandId }) });
      const result: ExecutionResult = await inTime(answer, patienceMs);
      const feedback = (result.data as Record<string, Record<string, unknown> | null> | null)?.[type];
      if (feedback) {
        sent.push({ ...entry, observed: verdictText(feedback) });
        if (habits?.freshIdOnRepeat && attempt === 1 && random.next() < 0.1) {
          id = random.uuid();
          continue;
        }
        return feedback;
      }
      why = JSON.stringify(result.errors);
      for (const { extensions } of result.errors ?? []) refusal ??= refusalOf(extensions);
    } catch (error) {
      why = error instanceof Error ? error.message : JSON.stringify(error);
      for (const each of Array.isArray(error) ? error : []) refusal ??= refusalOf(each.extensions);
    }
    if (refusal !== undefined) sent.push({ ...entry, observed: refusal });
    if (performance.now() > deadlineMs) {
      sent.push(entry);
      throw new Error(`${type} of ${user.name} has no verdict: ${why}`);
    }
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}

/** What may be answered instead of a verdict while something is away: the command is to be sent again. */
const passing: readonly unknown[] = ['COMMAND_PENDING', 'UNAVAILABLE', 'LIMIT_EXCEEDED'];

/** Any other answer without a verdict counts as a wrong one. */
function refusalOf(extensions: Record<string, unknown> | undefined): string | undefined {
  const code = extensions?.code;
  return code === undefined || passing.includes(code) ? undefined : `refused: ${code}`;
}

async function inTime<T>(answer: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer for ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
