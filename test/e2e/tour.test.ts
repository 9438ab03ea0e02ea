import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  type Account,
  account,
  collector,
  type Transaction,
  transactions,
  transferMoney,
  verdictOf,
} from '../support/bank.ts';
import { type Stack, sharedStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { openUser, type User } from '../support/user.ts';

let stack: Stack;
let alice: User;
let bob: User;
let aliceAccount: Account;
let bobAccount: Account;

before(async () => {
  stack = await sharedStack();
  alice = await openUser(stack.url, `alice-${randomUUID()}`);
  bob = await openUser(stack.url, `bob-${randomUUID()}`);
  [aliceAccount, bobAccount] = await Promise.all([account(alice), account(bob)]);
});

after(async () => {
  await Promise.all([alice?.close(), bob?.close()]);
});

test('two users pay in, transfer, see the verdict, and both see their side of it live', async () => {
  const [seenByAlice, seenByBob] = [collector(), collector()];
  const streams = [
    alice.subscribe({ query: transactions }, seenByAlice),
    bob.subscribe({ query: transactions }, seenByBob),
  ];
  await until('both streams to have a cursor', () => streams.every(stream => stream.cursor() !== undefined));

  const paidIn = await alice.mutate(transferMoney, {
    ...aliceAccount,
    from: 'cash',
    to: aliceAccount.iban,
    amount: 10_000,
  });
  assert.equal(verdictOf(paidIn).success, true);
  const paid = await alice.post(transferMoney, {
    ...aliceAccount,
    from: aliceAccount.iban,
    to: bobAccount.iban,
    amount: 2_500,
  });
  assert.equal(paid.status, 200);
  assert.equal(verdictOf(paid).success, true);

  await until('three events', () => seenByAlice.got.length === 2 && seenByBob.got.length === 1);
  const brief = ({ iban, changedBy, newBalance, fromTo, direction }: Transaction) => ({
    iban,
    changedBy,
    newBalance,
    fromTo,
    direction,
  });
  assert.deepEqual(seenByAlice.got.map(brief), [
    { iban: aliceAccount.iban, changedBy: 10_000, newBalance: 10_000, fromTo: 'cash', direction: 'CREDIT' },
    { iban: aliceAccount.iban, changedBy: -2_500, newBalance: 7_500, fromTo: bobAccount.iban, direction: 'DEBIT' },
  ]);
  assert.deepEqual(seenByBob.got.map(brief), [
    { iban: bobAccount.iban, changedBy: 2_500, newBalance: 2_500, fromTo: aliceAccount.iban, direction: 'CREDIT' },
  ]);
  for (const stream of streams) stream.stop();
});

test('a query shows the balance, and a stream goes on exactly behind the state that it saw', async () => {
  await until('the view to show the balance', async () => {
    const answer = await alice.post('{ account { balance } }');
    return (answer.data?.account as { balance: number } | null)?.balance === 7_500;
  });
  const answer = await alice.post(
    '{ account { iban token limit balance } transactions { edges { node { id changedBy } } } }',
  );
  assert.deepEqual(answer.data?.account, { ...aliceAccount, limit: -50_000, balance: 7_500 });
  const { edges } = answer.data.transactions as { edges: { node: { id: string; changedBy: number } }[] };
  assert.deepEqual(
    edges.map(({ node }) => node.changedBy),
    [-2_500, 10_000],
    'newest first',
  );
  assert.equal(
    verdictOf(await bob.post(transferMoney, { ...bobAccount, from: bobAccount.iban, to: aliceAccount.iban, amount: 1 }))
      .success,
    true,
  );

  const seen = collector();
  const stream = alice.subscribe({ query: transactions, extensions: { cursor: answer.extensions?.cursor } }, seen);
  await until('the event behind the query', () => seen.got.length > 0);
  assert.deepEqual(
    seen.got.map(({ changedBy }) => changedBy),
    [1],
  );
  stream.stop();
});

test('a command sent again under its id has no second effect and gets the same verdict, whatever its arguments', async () => {
  const id = randomUUID();
  const variables = { ...aliceAccount, id, from: 'cash', to: aliceAccount.iban, amount: 100 };
  const first = verdictOf(await alice.post(transferMoney, variables));
  assert.deepEqual(first, { commandId: id, success: true, reason: null });
  assert.deepEqual(verdictOf(await alice.post(transferMoney, variables)), first);
  assert.deepEqual(verdictOf(await alice.mutate(transferMoney, { ...variables, amount: -1 })), first);
  const seen = collector();
  const stream = alice.subscribe({ query: transactions, extensions: { from: 'earliest' } }, seen);
  await until(
    'all of alice’s events',
    () => seen.got.filter(({ changedBy }) => changedBy === 1 || changedBy === 100).length >= 2,
  );
  assert.equal(seen.got.filter(({ changedBy }) => changedBy === 100).length, 1);
  stream.stop();
});

test('opening again gives the same IBAN and token', async () => {
  assert.deepEqual(await account(alice), aliceAccount);
});

test('each rule of the bank gives its reason, in their order', async () => {
  const { iban, token } = aliceAccount;
  const cases: [Record<string, unknown>, string][] = [
    [{ token: 'x', from: 'a', to: 'a', amount: 0 }, 'invalid amount'],
    [{ token: 'x', from: 'a', to: 'a', amount: -5 }, 'invalid amount'],
    [{ token: 'x', from: 'a', to: 'a', amount: 5 }, "from and to can't be same"],
    [{ token: 'x', from: 'a', to: 'b', amount: 5 }, 'both to and from are not known at this bank'],
    [{ token: 'x', from: iban, to: 'b', amount: 5 }, 'invalid token'],
    [{ token, from: iban, to: 'b', amount: 1_000_000 }, 'insufficient funds'],
    [{ token: bobAccount.token, from: bobAccount.iban, to: iban, amount: 1 }, 'invalid token'],
  ];
  for (const [variables, reason] of cases) {
    const { success, reason: given } = verdictOf(await alice.post(transferMoney, variables));
    assert.deepEqual({ success, reason: given }, { success: false, reason });
  }
});

test('amounts that are no whole cents within ±(2^53 − 1) are refused before they become a command', async () => {
  for (const amount of [1.5, 2 ** 53, '5', 1e300, null]) {
    const answer = await alice.post(transferMoney, { ...aliceAccount, from: 'cash', to: aliceAccount.iban, amount });
    assert.equal(answer.errors?.[0]?.extensions?.code, 'BAD_USER_INPUT', `amount ${amount}`);
  }
});

test('a filter lets through what it says and no more', async () => {
  const seen = collector();
  const query =
    'subscription { transactions(minAmount: 300, descrIncludes: "Rent", direction: CREDIT) { changedBy descr } }';
  const stream = alice.subscribe({ query }, seen);
  await until('a cursor', () => stream.cursor() !== undefined);
  const pay = (amount: number, descr: string) =>
    alice.post(transferMoney, { ...aliceAccount, from: 'cash', to: aliceAccount.iban, amount, descr });
  await pay(299, 'Rent');
  await pay(300, 'rent');
  await pay(301, 'the Rent of May');
  await until('the one that fits', () => seen.got.length > 0);
  assert.deepEqual(seen.got, [{ changedBy: 301, descr: 'the Rent of May' }]);
  stream.stop();
});

test('the ledger and everybody’s last transactions are for auditors only', async () => {
  const auditor = await openUser(stack.url, 'auditor');
  const refused = collector('ledger');
  alice.subscribe({ query: 'subscription { ledger { id } }' }, refused);
  await until('the refusal', () => refused.errors.length > 0);
  assert.match(JSON.stringify(refused.errors), /FORBIDDEN/);
  const query = '{ allLastTransactions(first: 1000) { edges { node { iban changedBy } } } }';
  assert.equal((await alice.post(query)).errors?.[0]?.extensions?.code, 'FORBIDDEN');

  const seen = collector('ledger');
  const stream = auditor.subscribe({ query: 'subscription { ledger { id iban changedBy } }' }, seen);
  await until('a cursor', () => stream.cursor() !== undefined);
  await alice.post(transferMoney, { ...aliceAccount, from: aliceAccount.iban, to: bobAccount.iban, amount: 7 });
  const pair = () => seen.got.filter(({ iban }) => iban === aliceAccount.iban || iban === bobAccount.iban);
  await until('both sides in the ledger', () => pair().length === 2);
  assert.deepEqual(
    pair()
      .map(({ changedBy }) => changedBy)
      .sort((a, b) => a - b),
    [-7, 7],
  );
  await until('the newest of each account', async () => {
    const { edges } = (await auditor.post(query)).data.allLastTransactions as {
      edges: { node: { iban: string; changedBy: number } }[];
    };
    const of = (iban: string) => edges.filter(({ node }) => node.iban === iban).map(({ node }) => node.changedBy);
    return of(aliceAccount.iban).join() === '-7' && of(bobAccount.iban).join() === '7';
  });
  stream.stop();
  await auditor.close();
});

test('a transaction is found by its id by its owner and by nobody else', async () => {
  const answer = await alice.post(
    '{ transactions(first: 1) { edges { node { id } } pageInfo { hasNextPage endCursor } } }',
  );
  const page = answer.data.transactions as { edges: { node: { id: string } }[]; pageInfo: { hasNextPage: boolean } };
  const id = page.edges[0]?.node.id;
  assert.equal(page.pageInfo.hasNextPage, true);
  const query = 'query($id: ID!) { transaction(id: $id) { id } }';
  assert.deepEqual((await alice.post(query, { id })).data, { transaction: { id } });
  assert.deepEqual((await bob.post(query, { id })).data, { transaction: null });
});
