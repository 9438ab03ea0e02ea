import { type Client, type ClientStorage, UnauthorizedError } from '@penstock/client';
import { effect, type ReadonlySignal, signal } from '@preact/signals';
import { formatCents } from '../../shared/format.ts';
import { OpenAccountDocument, TransferMoneyDocument } from '../graphql/documents.ts';
import type { Account, AccountFeed } from './account.ts';
import { newId, type Order, openOrderOf, type Wish } from './orders.ts';

export interface Verdict {
  readonly kind: 'pending' | 'done' | 'refused';
  readonly text: string;
}

/** Where orders are placed, one at a time. */
export interface Counter {
  readonly verdict: ReadonlySignal<Verdict | undefined>;
  /** What has no verdict yet. */
  readonly pending: ReadonlySignal<Wish | undefined>;
  /** Resolves with whether the bank has carried it out. Does nothing while another order is pending. */
  place(wish: Wish): Promise<boolean>;
  close(): void;
}

export interface CounterParts {
  client: Pick<Client, 'command'>;
  storage: Pick<Storage, keyof ClientStorage>;
  username: string;
  feed: Pick<AccountFeed, 'account' | 'awaitOpening'>;
  onError(error: unknown): void;
}

interface Outcome {
  success: boolean;
  reason: string | null;
}

/** Opens the counter, and takes up an order whose verdict a page before this one has not seen. */
export function openCounter({ client, storage, username, feed, onError }: CounterParts): Counter {
  const verdict = signal<Verdict>();
  const pending = signal<Wish>();
  const open = openOrderOf(username, storage);

  async function carryOut(order: Order): Promise<boolean> {
    const { wish } = order;
    pending.value = wish;
    verdict.value = { kind: 'pending', text: `${nameOf(wish)} is under way …` };
    try {
      const { success, reason } = await send(order, client, feed.account.peek() ?? undefined);
      open.clear();
      verdict.value = success
        ? { kind: 'done', text: `${nameOf(wish)} succeeded.` }
        : { kind: 'refused', text: `${nameOf(wish)} was refused: ${reason ?? 'no reason is given'}.` };
      if (success && wish.kind === 'open') feed.awaitOpening();
      return success;
    } catch (error) {
      // The order stays open: it may have been carried out.
      verdict.value = undefined;
      if (error instanceof UnauthorizedError) onError(error);
      return false;
    } finally {
      pending.value = undefined;
    }
  }

  const left = open.read();
  // Transfers need the account's token.
  const stop = effect(() => {
    if (left === undefined || feed.account.value === undefined) return;
    queueMicrotask(() => {
      stop();
      if (pending.peek() === undefined) void carryOut(left);
    });
  });

  return {
    verdict,
    pending,
    async place(wish) {
      if (pending.peek() !== undefined) return false;
      const order = { id: newId(bytes => crypto.getRandomValues(bytes)), wish };
      open.write(order);
      return carryOut(order);
    },
    close: () => stop(),
  };
}

/** @throws UnauthorizedError; ConnectionError when the page is left. */
async function send({ id, wish }: Order, client: Pick<Client, 'command'>, account?: Account): Promise<Outcome> {
  if (wish.kind === 'open') {
    const { data, errors } = await client.command({ query: OpenAccountDocument, commandId: id });
    return data?.openAccount ?? refusal(errors);
  }
  if (account === undefined) return { success: false, reason: 'there is no account yet' };
  const { iban, token } = account;
  const { data, errors } = await client.command({
    query: TransferMoneyDocument,
    commandId: id,
    variables:
      wish.kind === 'transfer'
        ? { token, amount: wish.amountCents, from: iban, to: wish.recipient, descr: wish.description }
        : { token, amount: wish.amountCents, from: 'cash', to: iban, descr: 'Paid in' },
  });
  return data?.transferMoney ?? refusal(errors);
}

/** What the servers refuse before the bank sees it. */
function refusal(errors: readonly { readonly message: string }[] | undefined): Outcome {
  return { success: false, reason: errors?.[0]?.message ?? null };
}

function nameOf(wish: Wish): string {
  switch (wish.kind) {
    case 'open':
      return 'Opening your account';
    case 'transfer':
      return `Transfer of ${formatCents(wish.amountCents)} to ${wish.recipient}`;
    case 'pay-in':
      return `Paying in ${formatCents(wish.amountCents)}`;
  }
}
