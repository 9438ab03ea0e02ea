import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { useClientState, useCommand, useLive, useSubscription } from '@penstock/client/react';
import { Window } from 'happy-dom';
import { createElement, StrictMode } from 'react';
import type { Root } from 'react-dom/client';
import { account, type BankClient, type Change, openBank, transactions, transferMoney } from '../client/bank.ts';
import { sharedStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

let client: BankClient;
let root: Root;
let element: { textContent: string; querySelector(selector: string): { click(): void } | null };

before(async () => {
  const stack = await sharedStack();
  client = await openBank(stack.url, `user-${randomUUID()}`);
  await client.pay(1);
  const window = new Window();
  Object.assign(globalThis, { window, document: window.document, HTMLElement: window.HTMLElement });
  element = window.document.createElement('div');
  window.document.body.appendChild(element as never);
  const { createRoot } = await import('react-dom/client');
  root = createRoot(element as never);
});

after(async () => {
  root?.unmount();
  client?.close();
});

interface Balance {
  account: { balance: number };
}

function Bank() {
  const { status } = useClientState(client);
  const { data } = useLive<Balance, object, Change>(client, {
    query: account,
    subscription: transactions,
    apply: (_balance, { transactions: { newBalance } }) => ({ account: { balance: newBalance } }),
  });
  const { events } = useSubscription<Change>(client, { query: transactions, from: 'earliest', keep: 2 });
  const { send, isPending, result } = useCommand<{ transferMoney: { success: boolean } }>(client, transferMoney);
  const pay = () => void send({ token: client.secret, amount: 10, from: 'cash', to: client.iban });
  const amounts = events.map(({ data: { transactions: one } }) => one.changedBy).join();
  const verdict = isPending ? 'pending' : String(result?.data.transferMoney.success);
  const text = `${status} ${data?.account.balance} [${amounts}] ${verdict}`;
  return createElement('p', null, text, createElement('button', { type: 'button', onClick: pay }, ''));
}

test('hooks show the state, a live query, the newest events and a command, and leave nothing behind', async () => {
  const shows = (text: string) =>
    until(
      () => `${text}: it shows ${element.textContent}`,
      () => element.textContent === text,
    );
  await until('the payment in the view', async () => (await client.query({ query: account })).data.account);
  root.render(createElement(StrictMode, null, createElement(Bank)));
  await shows('live 1 [1] undefined');
  await client.pay(2);
  await shows('live 3 [1,2] undefined');
  element.querySelector('button')?.click();
  await shows('live 13 [2,10] true');
  assert.equal(client.counters.gaps, 0);
  root.render(null);
  await until('the connection is given up', () => client.state.status === 'idle');
});
