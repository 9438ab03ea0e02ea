import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { partitionOf } from '../../../lib/kafka/index.ts';
import { repeats } from '../../../lib/replay/sequence-filter.ts';
import { openReconciling, type ReconcileReport, type Resolution } from '../../../services/command-handler/reconcile.ts';
import type { Lost } from '../../../services/command-handler/reconcile-scan.ts';
import { until } from '../../support/until.ts';
import { type Event, type HandlerProcess, openStage, type Stage } from './stage.ts';

let stage: Stage;
const users = Array.from({ length: 50 }, (_, i) => `user-${i}`);
/** Of different partitions. */
const [alice = '', bob = ''] = [0, 1].map(partition => users.find(user => partitionOf(user, 2) === partition));

interface Account {
  iban: string;
  token: string;
}

async function open(user: string): Promise<Account> {
  const { iban, token } = await stage.verdict(user, await stage.command(user, 'openAccount', {}));
  return { iban: String(iban), token: String(token) };
}

async function transfer(user: string, from: Account | 'cash', to: Account, amount: number): Promise<string> {
  const token = from === 'cash' ? '' : from.token;
  const source = from === 'cash' ? from : from.iban;
  const id = await stage.command(user, 'transferMoney', { token, from: source, to: to.iban, amount, descr: '' });
  assert.equal((await stage.verdict(user, id)).success, true);
  return id;
}

const readAll = async (): Promise<Event[]> =>
  (
    await Promise.all(
      (['account_creation_feedback', 'money_transfer_feedback', 'balance_changed'] as const).map(name =>
        stage.read(stage.topic(name)),
      ),
    )
  ).flat();

/** Sequences of a key that the log has under several ids: a stream or view shows the first of them and drops the others. */
async function usedTwice(): Promise<string[]> {
  const ids = new Map<string, Set<string>>();
  for (const event of await readAll()) {
    const name = `${event.key} ${event.sequence}`;
    ids.set(name, (ids.get(name) ?? new Set()).add(event.header('ce_id') ?? ''));
  }
  return [...ids].filter(([, of]) => of.size > 1).map(([name]) => name);
}

const stoppedBy = (handler: HandlerProcess) =>
  until(
    'commands are stopped',
    async () => {
      assert.deepEqual(await usedTwice(), [], 'sequences that were used again');
      return (await handler.reasons()).ledger;
    },
    20_000,
  );

/** Events that a stream from the beginning, or a view, shows: for each topic and key those above the last sequence shown. */
async function shown(): Promise<Event[]> {
  const last = new Map<string, number>();
  return (await readAll()).filter(event => {
    const name = `${event.topic} ${event.key}`;
    if (repeats(last.get(name), event.sequence)) return false;
    last.set(name, event.sequence);
    return true;
  });
}

async function reconcile(
  apply: Resolution | undefined,
  sinceMs?: number,
): Promise<{ report: ReconcileReport; lost: Lost[] }> {
  const reconciling = await openReconciling(stage.settings);
  try {
    const lost: Lost[] = [];
    return { report: await reconciling.run({ apply, sinceMs, onLost: each => lost.push(each) }), lost };
  } finally {
    await reconciling.close();
  }
}

async function balances(): Promise<Record<string, number>> {
  const rows = await stage.postgres.query<{ owner: string; cents: number }>(
    'SELECT owner, balance_cents::float8 AS cents FROM bank.accounts',
  );
  return Object.fromEntries(rows.map(({ owner, cents }) => [owner, cents]));
}

async function end(handler: HandlerProcess): Promise<void> {
  handler.signal('SIGTERM');
  assert.equal(await handler.exited, 0);
}

/** Two accounts with money, a backup, and commands behind it that the backup lacks. */
async function goBack() {
  const first = await stage.start();
  await first.ready();
  const [hers, his] = [await open(alice), await open(bob)];
  await transfer(alice, 'cash', hers, 1_000);
  const restore = await stage.postgres.backUp();
  await first.ready();
  const lost = [await transfer(alice, hers, his, 40), await transfer(alice, 'cash', hers, 100)];
  await end(first);
  return { hers, his, lost, restore, before: await balances() };
}

const payIn = (user: string, to: Account, id: string) =>
  stage.command(user, 'transferMoney', { token: '', from: 'cash', to: to.iban, amount: 7, descr: 'new' }, id);

test('a handler that starts on a restored backup decides and publishes nothing, and says why; replayed, money and events are whole', async t => {
  stage = await openStage({ partitions: 2 });
  t.after(() => stage.close());
  const { his, lost, restore, before } = await goBack();
  const events = (await readAll()).length;
  await restore();
  const id = await payIn(bob, his, randomUUID());
  const second = await stage.start();
  await until('the admin port', () => second.admin !== '');
  assert.match(await stoppedBy(second), /PostgreSQL has gone back .*npm run ledger-reconcile/);
  assert.equal(await second.metric('penstock_handler_partitions_stopped'), 2);
  assert.ok(second.log.some(({ event }) => event === 'ledger_went_back'));
  await assert.rejects(reconcile('replay'), /1 command handlers are members of the group .*: stop them first/);
  const { report, lost: named } = await reconcile(undefined);
  assert.equal((await readAll()).length, events, 'nothing is published');
  assert.ok(report.fault);
  assert.deepEqual(
    named.filter(({ kind }) => kind === 'verdict').map(({ commandId, key, success }) => ({ commandId, key, success })),
    lost.map(commandId => ({ commandId, key: alice, success: true })),
  );
  assert.equal(named.filter(({ kind }) => kind === 'event').length, 3);
  assert.equal(report.commandsToRead, 3);
  await end(second);

  const applied = await reconcile('replay');
  assert.deepEqual([applied.report.keysBehind, applied.report.lostVerdicts], [2, 2]);
  const third = await stage.start();
  await third.ready();
  assert.equal((await stage.verdict(bob, id)).success, true);
  await until('all is decided', async () => (await balances())[alice] === before[alice]);
  assert.deepEqual(await balances(), { ...before, [bob]: (before[bob] ?? 0) + 7 });
  assert.deepEqual(await usedTwice(), []);
  assert.ok(
    (await shown()).some(event => event.key === bob && event.value.descr === 'new'),
    'streams show the new event',
  );
  await end(third);
  const fourth = await stage.start();
  await fourth.ready();
  await end(fourth);
  assert.equal((await reconcile(undefined)).lost.length, 0, 'what was dealt with is not named again');
  await stage.postgres.query('TRUNCATE penstock.reconciled_logs');
  assert.deepEqual(
    (await reconcile(undefined)).lost.map(({ kind, commandId }) => [kind, commandId]),
    lost.map(commandId => ['other-verdict', commandId]),
    'a second verdict is told',
  );
  assert.equal((await reconcile(undefined, Date.now() + 3_600_000)).report.recordsRead, 0);
});

test('skipped, lost commands keep the verdict that clients were told, and nothing of them is done again', async t => {
  stage = await openStage({ partitions: 2 });
  t.after(() => stage.close());
  const { hers, lost, restore } = await goBack();
  await restore();
  const kept = await balances();
  const told = await Promise.all(lost.map(id => stage.verdict(alice, id)));
  await reconcile('skip');
  const handler = await stage.start();
  await handler.ready();
  const id = await payIn(alice, hers, randomUUID());
  assert.equal((await stage.verdict(alice, id)).success, true);
  assert.deepEqual(await balances(), { ...kept, [alice]: (kept[alice] ?? 0) + 7 });
  assert.deepEqual(await Promise.all(lost.map(each => stage.verdict(alice, each))), told);
  assert.deepEqual(await usedTwice(), []);
  assert.ok((await shown()).some(({ value }) => value.descr === 'new'));
  await end(handler);
});

test('handlers whose database is replaced while they run stop, also the one whose own positions are right; with the newer one back they go on', async t => {
  stage = await openStage({ partitions: 2 });
  t.after(() => stage.close());
  const handlers = [await stage.start(), await stage.start()];
  for (const handler of handlers) await handler.ready();
  const [hers, his] = [await open(alice), await open(bob)];
  await transfer(alice, 'cash', hers, 1_000);
  const restore = await stage.postgres.backUp();
  for (const handler of handlers) await handler.ready();
  // commands of her partition alone, an event of his
  await transfer(alice, hers, his, 40);
  // Two accounts, two verdicts, her two events and his, which may come behind the verdict.
  const events = 7;
  await until('all is published', async () => (await readAll()).length === events);
  const bringBack = await stage.postgres.backUp();
  for (const handler of handlers) await handler.ready();
  await restore();
  const id = await payIn(bob, his, randomUUID());
  for (const handler of handlers) await stoppedBy(handler);
  assert.equal((await readAll()).length, events, 'nothing is published');

  await bringBack();
  assert.equal((await stage.verdict(bob, id)).success, true, 'the newer one is gone on with');
  for (const handler of handlers) await handler.ready();
  assert.deepEqual(await balances(), { [alice]: 960, [bob]: 47 });
  assert.deepEqual(await usedTwice(), []);
  for (const handler of handlers) await end(handler);
});

test('a key whose sequence is behind the log is found by the log alone, where every position is right', async t => {
  stage = await openStage({ partitions: 2 });
  t.after(() => stage.close());
  const { restore } = await goBack();
  await restore();
  await stage.postgres.query('UPDATE penstock.command_positions SET position = 10');
  for (let n = 0; n < 20; n++) await stage.command(alice, 'nothing', {});
  for (let n = 0; n < 20; n++) await stage.command(bob, 'nothing', {});
  const handler = await stage.start();
  await until('the admin port', () => handler.admin !== '');
  assert.match(await stoppedBy(handler), /a record of .* has sequence \d+ of its key, and the ledger is at \d+/);
  await end(handler);
});
