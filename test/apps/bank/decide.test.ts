import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import bank from '../../../apps/bank/commands.ts';
import { ibanOf } from '../../../apps/bank/iban.ts';
import { type Account, addAccount, emptyLedger, type Ledger, limitCents } from '../../../apps/bank/ledger.ts';
import type { Command, DecisionContext } from '../../../lib/app/commands.ts';
import { type AppPlan, loadApp } from '../../../lib/app/index.ts';

let plan: AppPlan;
before(async () => {
  plan = await loadApp('apps/bank');
});

const largest = Number.MAX_SAFE_INTEGER;
const [alice, bob] = [ibanOf(1), ibanOf(2)];
const unknownHere = ibanOf(99);
const elsewhere = 'NL91ABNA0417164300';

function ledgerWith(balances: { alice?: number; bob?: number } = {}): Ledger {
  const ledger = emptyLedger();
  const accounts: Account[] = [
    { iban: alice, owner: 'alice', token: 'a-token', balanceCents: balances.alice ?? 0 },
    { iban: bob, owner: 'bob', token: 'b-token', balanceCents: balances.bob ?? 0 },
  ];
  for (const account of accounts) addAccount(ledger, account);
  ledger.serials.push(3, 4, 5);
  return ledger;
}

function contextFrom(seed = 0): DecisionContext {
  let next = seed;
  return { nowMs: Date.UTC(2030, 0, 2), uuid: () => `uuid-${next++}`, plan };
}

function transfer(args: Record<string, unknown>, userKey = 'alice'): Command {
  return {
    ...{ id: 'c-1', type: 'transferMoney', userKey, timeMs: 0 },
    arguments: { token: 'a-token', amount: 100, from: alice, to: bob, descr: 'rent', ...args },
  };
}

function reasonOf(command: Command, ledger = ledgerWith()): unknown {
  const before = JSON.stringify([...ledger.byIban.values()]);
  const decision = bank.decide(ledger, command, contextFrom());
  if (decision.feedback.success === true) return null;
  assert.deepEqual(decision.feedback, { commandId: command.id, success: false, reason: decision.feedback.reason });
  assert.deepEqual([decision.changes, decision.events, decision.verdict], [[], [], 'rejected']);
  assert.equal(JSON.stringify([...ledger.byIban.values()]), before, 'a refused transfer changes nothing');
  return decision.feedback.reason;
}

const rules: readonly [what: string, command: Command, reason: string | null, ledger?: Ledger][] = [
  ['nothing', transfer({ amount: 0 }), 'invalid amount'],
  ['minus zero', transfer({ amount: -0 }), 'invalid amount'],
  ['a negative amount', transfer({ amount: -5 }), 'invalid amount'],
  ['a fraction of a cent', transfer({ amount: 1.5 }), 'invalid amount'],
  ['more than a safe integer', transfer({ amount: largest + 1 }), 'invalid amount'],
  ['text', transfer({ amount: '100' }), 'invalid amount'],
  [
    'a bad amount before all other faults',
    transfer({ amount: 0, from: 'cash', to: 'cash', token: 'x' }),
    'invalid amount',
  ],
  ['the same account twice', transfer({ to: alice }), "from and to can't be same"],
  ['cash to cash', transfer({ from: 'cash', to: 'cash' }), "from and to can't be same"],
  ['the same twice before an unknown pair', transfer({ from: elsewhere, to: elsewhere }), "from and to can't be same"],
  ['two strangers', transfer({ from: 'cash', to: elsewhere }), 'both to and from are not known at this bank'],
  [
    'an account number of ours that was never given out',
    transfer({ from: unknownHere, to: 'cash' }),
    'both to and from are not known at this bank',
  ],
  ['a wrong token', transfer({ token: 'b-token' }), 'invalid token'],
  ["the right token in another user's hands", transfer({}, 'mallory'), 'invalid token'],
  ['a wrong token before missing money', transfer({ token: 'x', amount: 50_001 }), 'invalid token'],
  ['one cent below the limit', transfer({ amount: 50_001 }), 'insufficient funds'],
  ['down to the limit', transfer({ amount: 50_000 }), null],
  [
    'missing money before an overflow',
    transfer({ amount: largest }, 'alice'),
    'insufficient funds',
    ledgerWith({ bob: largest }),
  ],
  [
    'more than a balance can hold',
    transfer({ from: 'cash', to: bob, amount: 1 }),
    'invalid amount',
    ledgerWith({ bob: largest }),
  ],
  [
    'as much as a balance can hold',
    transfer({ from: 'cash', to: bob, amount: 1 }),
    null,
    ledgerWith({ bob: largest - 1 }),
  ],
  ['cash in, whoever brings it and with whatever token', transfer({ from: 'cash', token: 'x' }, 'mallory'), null],
  ["another bank's money in", transfer({ from: elsewhere, token: '' }), null],
  ['money out to another bank', transfer({ to: elsewhere }), null],
  ['money out as cash', transfer({ to: 'cash' }), null],
];
for (const [what, command, reason, ledger] of rules) {
  test(`a transfer of ${what} gives ${reason ?? 'success'}`, () => assert.equal(reasonOf(command, ledger), reason));
}

test('a transfer between two accounts here changes both and tells both owners', () => {
  const decision = bank.decide(ledgerWith({ alice: 500 }), transfer({ amount: 100 }), contextFrom());
  const time = '2030-01-02T00:00:00.000Z';
  assert.deepEqual(decision.feedback, { commandId: 'c-1', success: true, reason: null });
  assert.deepEqual(decision.changes, [
    { kind: 'balance', iban: alice, cents: 400 },
    { kind: 'balance', iban: bob, cents: 100 },
  ]);
  const of = { topic: 'balance_changed', descr: 'rent', time };
  assert.deepEqual(
    decision.events.map(({ topic, key, value }) => ({ topic, key, ...value })),
    [
      {
        ...of,
        key: 'alice',
        id: 'uuid-0',
        iban: alice,
        newBalance: 400,
        changedBy: -100,
        fromTo: bob,
        direction: 'DEBIT',
      },
      {
        ...of,
        key: 'bob',
        id: 'uuid-1',
        iban: bob,
        newBalance: 100,
        changedBy: 100,
        fromTo: alice,
        direction: 'CREDIT',
      },
    ],
  );
});

test('money from cash or to another bank tells the one owner who is here', () => {
  const [incoming] = bank.decide(ledgerWith(), transfer({ from: 'cash', to: bob }), contextFrom()).events;
  assert.deepEqual([incoming?.key, incoming?.value.fromTo, incoming?.value.direction], ['bob', 'cash', 'CREDIT']);
  const outgoing = bank.decide(ledgerWith(), transfer({ to: elsewhere }), contextFrom()).events;
  assert.deepEqual(
    outgoing.map(({ key, value }) => [key, value.fromTo]),
    [['alice', elsewhere]],
  );
});

test('opening gives an account at zero; opening again gives the same one, and no balance', () => {
  const ledger = ledgerWith();
  const open = (id: string): Command => ({ id, type: 'openAccount', userKey: 'carol', arguments: {}, timeMs: 0 });
  const first = bank.decide(ledger, open('o-1'), contextFrom());
  const iban = ibanOf(3);
  assert.deepEqual(first.feedback, {
    ...{ commandId: 'o-1', success: true, reason: null, iban, token: 'uuid-0' },
    ...{ limit: limitCents, newBalance: 0 },
  });
  assert.deepEqual(first.changes, [
    { kind: 'opened', account: { iban, owner: 'carol', token: 'uuid-0', balanceCents: 0 } },
  ]);
  const second = bank.decide(ledger, open('o-2'), contextFrom(50));
  assert.deepEqual(second.feedback, { commandId: 'o-2', success: true, reason: null, iban, token: 'uuid-0' });
  assert.deepEqual(second.changes, []);
});

test('a transfer that cannot be read is held against the first rule before anything else', () => {
  const unreadable = (args: object): Command => ({ ...transfer({}), arguments: { ...args } });
  assert.equal(bank.reject('c', 'argument token is missing', unreadable({ amount: 1.5 })).reason, 'invalid amount');
  assert.equal(
    bank.reject('c', 'argument token is missing', unreadable({ amount: 5 })).reason,
    'argument token is missing',
  );
  assert.deepEqual(bank.reject('c', 'not JSON'), { commandId: 'c', success: false, reason: 'not JSON' });
});

// Properties over random batches

const owners = ['alice', 'bob', 'carol', 'dave'];
const places = [alice, bob, ibanOf(3), unknownHere, elsewhere, 'cash'];
const amount = fc.oneof(fc.integer({ min: -10, max: 60_000 }), fc.constantFrom(0.5, largest, largest - 3, '7', null));
const anyTransfer = fc
  .record({
    userKey: fc.constantFrom(...owners),
    amount,
    from: fc.constantFrom(...places),
    to: fc.constantFrom(...places),
    token: fc.constantFrom('a-token', 'b-token', 'uuid-0', 'x'),
  })
  .map(({ userKey, ...args }) => transfer(args, userKey));
const anyOpening = fc
  .constantFrom(...owners)
  .map((userKey): Command => ({ id: 'o', type: 'openAccount', userKey, arguments: {}, timeMs: 0 }));
const anyBatch = fc
  .array(fc.oneof({ weight: 5, arbitrary: anyTransfer }, { weight: 1, arbitrary: anyOpening }), { maxLength: 40 })
  .map(commands => commands.map((command, index) => ({ ...command, id: `c-${index}` })));

test('the sum of balances changes by what comes in and goes out, and no balance leaves its bounds', () => {
  fc.assert(
    fc.property(anyBatch, commands => {
      const ledger = ledgerWith({ alice: 30_000 });
      const context = contextFrom();
      let expected = 30_000n;
      for (const command of commands) {
        const decision = bank.decide(ledger, command, context);
        if (command.type === 'transferMoney' && decision.feedback.success === true) {
          const { from, to, amount: cents } = command.arguments;
          if (!ledger.byIban.has(String(from))) expected += BigInt(Number(cents));
          if (!ledger.byIban.has(String(to))) expected -= BigInt(Number(cents));
        }
        for (const { balanceCents } of ledger.byIban.values()) {
          assert.ok(balanceCents >= limitCents && Number.isSafeInteger(balanceCents));
        }
      }
      const sum = [...ledger.byIban.values()].reduce((total, { balanceCents }) => total + BigInt(balanceCents), 0n);
      assert.equal(sum, expected);
    }),
    { numRuns: 2_000 },
  );
});

test('the events of each account tell its balance step by step', () => {
  fc.assert(
    fc.property(anyBatch, commands => {
      const ledger = ledgerWith();
      const context = contextFrom();
      const told = new Map<string, number>();
      for (const { value } of commands.flatMap(command => bank.decide(ledger, command, context).events)) {
        const before = told.get(String(value.iban)) ?? 0;
        assert.equal(value.newBalance, before + Number(value.changedBy));
        told.set(String(value.iban), Number(value.newBalance));
      }
      for (const [iban, balance] of told) assert.equal(ledger.byIban.get(iban)?.balanceCents, balance);
    }),
    { numRuns: 2_000 },
  );
});

test('of several faults the first rule that is broken gives the reason', () => {
  fc.assert(
    fc.property(anyTransfer, command => {
      const ledger = ledgerWith();
      const { amount: cents, from, to, token } = command.arguments;
      const [debtor, creditor] = [ledger.byIban.get(String(from)), ledger.byIban.get(String(to))];
      const balance = debtor?.balanceCents ?? 0;
      const broken: [boolean, string][] = [
        [!(typeof cents === 'number' && Number.isSafeInteger(cents) && cents > 0), 'invalid amount'],
        [from === to, "from and to can't be same"],
        [!debtor && !creditor, 'both to and from are not known at this bank'],
        [debtor !== undefined && (debtor.token !== token || debtor.owner !== command.userKey), 'invalid token'],
        [debtor !== undefined && balance - Number(cents) < limitCents, 'insufficient funds'],
      ];
      assert.equal(reasonOf(command, ledger), broken.find(([isBroken]) => isBroken)?.[1] ?? null);
    }),
    { numRuns: 5_000 },
  );
});
