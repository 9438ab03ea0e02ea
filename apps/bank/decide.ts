import type { Command, Decision, DecisionContext, OutgoingEvent } from '../../lib/app/commands.ts';
import { ibanOf } from './iban.ts';
import { type Account, addAccount, type Change, type Ledger, limitCents } from './ledger.ts';

type BankDecision = Decision<Change>;
type Reason =
  | 'invalid amount'
  | "from and to can't be same"
  | 'both to and from are not known at this bank'
  | 'invalid token'
  | 'insufficient funds';

/** Pure but for `ledger`, whose accounts it changes so that the batch's later commands see it. */
export function decide(ledger: Ledger, command: Command, context: DecisionContext): BankDecision {
  switch (command.type) {
    case 'openAccount':
      return openAccount(ledger, command, context);
    case 'transferMoney':
      return transferMoney(ledger, command, context);
    default:
      throw new Error(`the bank knows no command ${command.type}`);
  }
}

/** A transfer that can't even be read is first of all held against the first rule. */
export function reject(commandId: string, reason: string, command?: Command): Readonly<Record<string, unknown>> {
  const unreadable = command?.type === 'transferMoney' && !isAmount(command.arguments.amount);
  return failure(commandId, unreadable ? 'invalid amount' : reason);
}

function failure(commandId: string, reason: string): Readonly<Record<string, unknown>> {
  return { commandId, success: false, reason };
}

function isAmount(amount: unknown): amount is number {
  return Number.isSafeInteger(amount) && Number(amount) > 0;
}

function openAccount(ledger: Ledger, command: Command, context: DecisionContext): BankDecision {
  const existing = ledger.byOwner.get(command.userKey);
  if (existing !== undefined) return accepted(opening(command.id, existing), [], []);
  const serial = ledger.serials.shift();
  if (serial === undefined) throw new Error('no account number was reserved for a new account');
  const account: Account = { iban: ibanOf(serial), owner: command.userKey, token: context.uuid(), balanceCents: 0 };
  addAccount(ledger, account);
  const feedback = { ...opening(command.id, account), limit: limitCents, newBalance: 0 };
  return accepted(feedback, [{ kind: 'opened', account: { ...account } }], []);
}

function opening(commandId: string, account: Account): Readonly<Record<string, unknown>> {
  return { commandId, success: true, reason: null, iban: account.iban, token: account.token };
}

/** An account here on one side or both; the other side is somebody else's, or cash. */
interface Transfer {
  amountCents: number;
  from: string;
  to: string;
  descr: string;
  debtor: Account | undefined;
  creditor: Account | undefined;
}

function transferMoney(ledger: Ledger, command: Command, context: DecisionContext): BankDecision {
  const { amount, from, to, token, descr } = command.arguments;
  const transfer: Transfer = {
    amountCents: typeof amount === 'number' ? amount : Number.NaN,
    from: String(from),
    to: String(to),
    descr: String(descr),
    debtor: ledger.byIban.get(String(from)),
    creditor: ledger.byIban.get(String(to)),
  };
  const reason = objection(transfer, command.userKey, token);
  if (reason !== undefined) {
    return { feedback: failure(command.id, reason), verdict: 'rejected', changes: [], events: [] };
  }
  const changes: Change[] = [];
  const events: OutgoingEvent[] = [];
  move(transfer.debtor, -transfer.amountCents, transfer.to);
  move(transfer.creditor, transfer.amountCents, transfer.from);
  return accepted({ commandId: command.id, success: true, reason: null }, changes, events);

  function move(account: Account | undefined, changedBy: number, fromTo: string): void {
    if (account === undefined) return;
    account.balanceCents += changedBy;
    changes.push({ kind: 'balance', iban: account.iban, cents: account.balanceCents });
    events.push({
      topic: 'balance_changed',
      key: account.owner,
      value: {
        id: context.uuid(),
        iban: account.iban,
        newBalance: account.balanceCents,
        changedBy,
        fromTo,
        direction: changedBy < 0 ? 'DEBIT' : 'CREDIT',
        descr: transfer.descr,
        time: new Date(context.nowMs).toISOString(),
      },
    });
  }
}

/** The rules, in the order in which a transfer is held against them. */
function objection(
  { amountCents, from, to, debtor, creditor }: Transfer,
  caller: string,
  token: unknown,
): Reason | undefined {
  if (!isAmount(amountCents)) return 'invalid amount';
  if (from === to) return "from and to can't be same";
  if (debtor === undefined && creditor === undefined) return 'both to and from are not known at this bank';
  if (debtor !== undefined) {
    if (debtor.token !== token || debtor.owner !== caller) return 'invalid token';
    if (debtor.balanceCents - amountCents < limitCents) return 'insufficient funds';
  }
  if (creditor !== undefined && !Number.isSafeInteger(creditor.balanceCents + amountCents)) return 'invalid amount';
  return undefined;
}

function accepted(
  feedback: BankDecision['feedback'],
  changes: readonly Change[],
  events: readonly OutgoingEvent[],
): BankDecision {
  return { feedback, verdict: 'accepted', changes, events };
}
