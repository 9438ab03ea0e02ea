import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { partitionOf } from '../../../lib/kafka/index.ts';
import { until } from '../../support/until.ts';
import { type Event, type HandlerProcess, openStage, type Stage } from './stage.ts';

let stage: Stage;
const users = Array.from({ length: 50 }, (_, i) => `user-${i}`);
/** Of different partitions. */
const [alice = '', bob = ''] = [0, 1].map(partition => users.find(user => partitionOf(user, 2) === partition));

before(async () => {
  stage = await openStage({ partitions: 2 });
});
after(() => stage.close());

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
  until('commands are stopped', async () => (await handler.reasons()).ledger, 30_000);

test('a handler that starts on a restored backup decides and publishes nothing, and says why', async () => {
  const first = await stage.start();
  await first.ready();
  const [hers, his] = [await open(alice), await open(bob)];
  const restore = await stage.postgres.backUp();
  await transfer(alice, 'cash', hers, 100);
  await transfer(alice, hers, his, 40);
  first.signal('SIGTERM');
  assert.equal(await first.exited, 0);
  const events = (await readAll()).length;
  await restore();

  await stage.command(bob, 'transferMoney', { token: '', from: 'cash', to: his.iban, amount: 7, descr: 'new' });
  const second = await stage.start();
  await until('the admin port', () => second.admin !== '');
  const reason = await stoppedBy(second);
  assert.match(reason, /PostgreSQL has gone back .*npm run ledger-reconcile/);
  assert.equal(await second.metric('penstock_handler_partitions_stopped'), 2);
  assert.ok(second.log.some(({ event }) => event === 'ledger_went_back'));
  second.signal('SIGTERM');
  assert.equal(await second.exited, 0);
  assert.equal((await readAll()).length, events, 'nothing is published');
  assert.deepEqual(await usedTwice(), []);
});
