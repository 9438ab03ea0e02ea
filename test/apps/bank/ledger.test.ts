import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import pg from 'pg';
import bank from '../../../apps/bank/commands.ts';
import { ibanOf } from '../../../apps/bank/iban.ts';
import type { Change } from '../../../apps/bank/ledger.ts';
import type { Command, DecisionContext, LedgerQueries } from '../../../lib/app/commands.ts';
import { type AppPlan, loadApp } from '../../../lib/app/index.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';

let postgres: ScratchPostgres;
let client: pg.Client;
let plan: AppPlan;
const queries: LedgerQueries = {
  query: async <Row>(sql: string, values: readonly unknown[] = []) =>
    (await client.query(sql, [...values])).rows as Row[],
};

before(async () => {
  plan = await loadApp('apps/bank');
  postgres = await scratchPostgres();
  client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  for (const statement of [...bank.migrations, ...bank.migrations]) await client.query(statement);
});
after(async () => {
  await client.end();
  await postgres.drop();
});
beforeEach(() => client.query('TRUNCATE bank.accounts; ALTER SEQUENCE bank.account_serial RESTART'));

/** Decides in batches of this size, each loaded, decided and saved in a transaction. */
async function settle(commands: readonly Command[], size: number): Promise<unknown[]> {
  let ids = 0;
  const context: DecisionContext = { nowMs: 0, uuid: () => `uuid-${ids++}`, plan };
  const told: unknown[] = [];
  for (let at = 0; at < commands.length; at += size) {
    const batch = commands.slice(at, at + size);
    await client.query('BEGIN');
    const state = await bank.load(queries, batch);
    const decisions = batch.map(command => bank.decide(state, command, context));
    await bank.save(
      queries,
      decisions.flatMap((decision): readonly Change[] => decision.changes),
    );
    await client.query('COMMIT');
    told.push(...decisions.map(({ feedback, events }) => ({ feedback, events })));
  }
  return told;
}

async function accounts(): Promise<unknown[]> {
  return queries.query('SELECT owner, iban, balance_cents::text FROM bank.accounts ORDER BY owner');
}

const users = ['alice', 'bob', 'carol'];
const openings = users.map(
  (userKey): Command => ({ id: `open-${userKey}`, type: 'openAccount', userKey, arguments: {}, timeMs: 0 }),
);

test('a batch decided at once equals the same commands one by one', async () => {
  const place = fc.constantFrom(ibanOf(1), ibanOf(2), ibanOf(3), ibanOf(7), 'cash', 'NL91ABNA0417164300', 'a\u0000b');
  const command = fc.record({
    userKey: fc.constantFrom(...users),
    amount: fc.integer({ min: 0, max: 40_000 }),
    from: place,
    to: place,
    token: fc.constantFrom('uuid-0', 'uuid-1', 'uuid-2'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 20 }), fc.integer({ min: 2, max: 7 }), async (steps, size) => {
      const commands = steps.map(
        ({ userKey, ...args }, index): Command => ({
          ...{ id: `c-${index}`, type: 'transferMoney', userKey, timeMs: 0 },
          arguments: { descr: '', ...args },
        }),
      );
      const results: unknown[] = [];
      for (const batchSize of [1, size, 1_000]) {
        await client.query('TRUNCATE bank.accounts; ALTER SEQUENCE bank.account_serial RESTART');
        await settle(openings, 1_000);
        results.push([await settle(commands, batchSize), await accounts()]);
      }
      assert.deepEqual(results[1], results[0]);
      assert.deepEqual(results[2], results[0]);
    }),
    { numRuns: 60 },
  );
});

test('an account that is opened and paid into in one batch has the money', async () => {
  const pay: Command = {
    ...{ id: 'pay', type: 'transferMoney', userKey: 'bob', timeMs: 0 },
    arguments: { token: '', amount: 7, from: 'cash', to: ibanOf(1), descr: '' },
  };
  await settle([openings[0] as Command, pay, openings[0] as Command], 10);
  assert.deepEqual(await accounts(), [{ owner: 'alice', iban: ibanOf(1), balance_cents: '7' }]);
});

test('PostgreSQL refuses a balance below the limit, and one that JavaScript could not tell apart', async () => {
  await settle(openings, 10);
  const set = (cents: string) =>
    client.query('UPDATE bank.accounts SET balance_cents = $1 WHERE owner = $2', [cents, 'alice']);
  await assert.rejects(set('-50001'), /never_below_limit/);
  await assert.rejects(set('9007199254740992'), /safe_integer/);
  await set('9007199254740991');
});

test('two batches that name the same accounts in opposite order wait for each other and do not deadlock', async () => {
  await settle(openings, 10);
  const other = new pg.Client({ connectionString: postgres.url });
  await other.connect();
  const pair = (from: string, to: string): Command => ({
    ...{ id: `${from}${to}`, type: 'transferMoney', userKey: 'alice', timeMs: 0 },
    arguments: { token: '', amount: 1, from, to, descr: '' },
  });
  const through = (via: pg.Client): LedgerQueries => ({
    query: async <Row>(sql: string, values: readonly unknown[] = []) =>
      (await via.query(sql, [...values])).rows as Row[],
  });
  const batch = async (via: pg.Client, commands: readonly Command[]): Promise<void> => {
    for (let round = 0; round < 50; round++) {
      await via.query('BEGIN');
      await bank.load(through(via), commands);
      await via.query('COMMIT');
    }
  };
  const [a, b, c] = [ibanOf(1), ibanOf(2), ibanOf(3)];
  await Promise.all([batch(client, [pair(a, b), pair(c, a)]), batch(other, [pair(c, b), pair(b, a)])]);
  await other.end();
});
