import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { backUp } from '../chaos/whole.ts';
import { account, collector, transactions, transferMoney, verdictOf } from '../support/bank.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { openStockUser } from '../support/stock-client.ts';
import { until } from '../support/until.ts';
import { openUser, type User } from '../support/user.ts';

let stack: Stack;
const opened: User[] = [];
const users = 6;
const payments = 120;

before(async () => {
  // Long enough for every client to go by itself, however busy the machine is.
  stack = await startStack({ gateways: 2, env: { PENSTOCK_OWNERSHIP_HANDOVER_WINDOW_MS: '3000' } });
});

after(async () => {
  for (const user of opened) await user.close();
  await stack?.stop();
});

/** A client that pays into its account, one payment after the other, and listens. */
async function payer(name: string, moves: boolean) {
  const closes: number[] = [];
  const watch = { connected() {}, closed: (code: number) => void closes.push(code) };
  const user = await (moves ? openUser : openStockUser)(stack.url, name, { watch });
  opened.push(user);
  const { token, iban } = await account(user);
  const seen = collector();
  const stream = user.subscribe({ query: transactions }, seen);
  await until('a cursor', () => stream.cursor());
  const paying = (async () => {
    for (let amount = 1; amount <= payments; amount++) {
      const paid = await user.mutate(transferMoney, { token, from: 'cash', to: iban, amount });
      assert.equal(verdictOf(paid).success, true);
      await new Promise(resolve => setTimeout(resolve, 200));
    }
  })();
  return { user, closes, seen, paying };
}

test('told to move, a client goes on at its next gateway before it leaves the last: payments and events, each once and in order', async () => {
  const movers = await Promise.all(Array.from({ length: users }, (_, index) => payer(`mover-${index}`, true)));
  const stock = await payer('stock', false);
  for (const name of ['gateway-0', 'gateway-1']) await backUp(stack, name, stack.kill(name, 'SIGTERM'));
  for (const { user, paying, seen } of [...movers, stock]) {
    await paying;
    await until(`the last event of ${user.name}`, () => seen.got.length >= payments);
    assert.deepEqual(
      seen.got.map(({ changedBy }) => changedBy),
      Array.from({ length: payments }, (_, index) => index + 1),
    );
    assert.deepEqual(seen.errors, []);
  }
  for (const { user, closes } of movers) {
    assert.ok(user.connections() > 1, `${user.name} has moved`);
    assert.ok(
      closes.every(code => code === 1000),
      `${user.name} was closed: ${closes}`,
    );
  }
  assert.ok(stock.closes.includes(1012), `a stock client is closed: ${stock.closes}`);
});
