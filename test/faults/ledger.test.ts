// runs apart: a stack of its own, whose handlers are stopped and started
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { promisify } from 'node:util';
import pg from 'pg';
import { plainEnvironment } from '../../dev/stack/environment.ts';
import { root } from '../../dev/stack/options.ts';
import { partitionOf } from '../../lib/kafka/index.ts';
import { account, collector, transactions, transferMoney, verdictOf } from '../support/bank.ts';
import { copyDatabase, replaceDatabase } from '../support/scratch-postgres.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { openUser } from '../support/user.ts';

const run = promisify(execFile);
const names = Array.from({ length: 100 }, (_, i) => `user-${i}`);

/** Another session than the services': they are cut off while a copy is made or put in place. */
async function administer<T>(stack: Stack, work: (admin: pg.Client, database: string) => Promise<T>): Promise<T> {
  const url = new URL(stack.postgres);
  const database = url.pathname.slice(1);
  url.pathname = '/template1';
  const admin = new pg.Client({ connectionString: url.href });
  await admin.connect();
  try {
    return await work(admin, database);
  } finally {
    await admin.end();
  }
}

async function reasonsOfHandlers(stack: Stack): Promise<(string | undefined)[]> {
  const handlers = stack.processes().filter(({ service }) => service === 'command-handler');
  return Promise.all(
    handlers.map(async ({ admin }) => {
      const { reasons } = (await (await fetch(`${admin}/readyz`)).json()) as { reasons?: Record<string, string> };
      return reasons?.ledger;
    }),
  );
}

test('a backup that is restored under a running stack stops its commands; reconciled, streams, views and money go on', async t => {
  const stack = await startStack({ gateways: 1, handlers: 2, partitions: 2 });
  t.after(() => stack.stop());
  const users = await Promise.all(
    [0, 1].map(partition => openUser(stack.url, names.find(name => partitionOf(name, 2) === partition) ?? '')),
  );
  const [alice = assert.fail(), bob = assert.fail()] = users;
  const [hers, his] = [await account(alice), await account(bob)];
  const seen = users.map(user => {
    const events = collector();
    user.subscribe({ query: transactions, extensions: { from: 'earliest' } }, events);
    return events;
  });
  const [herEvents = assert.fail(), hisEvents = assert.fail()] = seen;
  const payIn = (
    user: typeof alice,
    { iban, token }: typeof hers,
    amount: number,
    descr: string,
    id: string = randomUUID(),
  ) => user.post(transferMoney, { id, token, amount, from: 'cash', to: iban, descr });
  const balanceOf = async (user: typeof alice) =>
    ((await user.post('{ account { balance } }')).data?.account as { balance: number } | null | undefined)?.balance;

  assert.equal(verdictOf(await payIn(alice, hers, 1_000, 'first')).success, true);
  await administer(stack, (admin, database) => copyDatabase(admin, database, `${database}_backup`));
  const transfer = { token: hers.token, amount: 40, from: hers.iban, to: his.iban, descr: 'lost' };
  const id = randomUUID();
  await until(
    'a transfer',
    async () => (await alice.post(transferMoney, { ...transfer, id })).data?.transferMoney,
    60_000,
  );
  await until('both to see it', () => herEvents.got.length === 2 && hisEvents.got.length === 1, 30_000);
  await until('the view', async () => (await balanceOf(bob)) === 40, 30_000);
  await administer(stack, (admin, database) => replaceDatabase(admin, database, `${database}_backup`));

  const waiting = randomUUID();
  await until(
    'nothing is decided',
    async () => {
      const [error] = (await payIn(bob, his, 7, 'new', waiting)).errors ?? [];
      return error?.extensions?.code === 'COMMAND_PENDING';
    },
    60_000,
  );
  await until('handlers say why', async () => (await reasonsOfHandlers(stack)).every(reason => reason !== undefined));
  const tool = (...args: string[]) =>
    run(process.execPath, ['dev/ledger-reconcile.ts', '--folder', stack.folder, ...args], {
      cwd: root,
      env: plainEnvironment(process.env),
    });
  await assert.rejects(tool('--apply'), /--apply needs one of --replay and --skip/);
  const { stdout: found } = await tool();
  assert.match(found, new RegExp(`lost verdict: command ${id}, .*success: true`));
  assert.equal(found.match(/^lost effect/gm)?.length, 2);
  assert.match(found, /nothing was changed/);
  const { stdout: applied } = await tool('--apply', '--replay', '--json');
  assert.equal(JSON.parse(applied.trim().split('\n').at(-1) ?? '').applied, 'replay');

  assert.equal(verdictOf(await payIn(bob, his, 7, 'new', waiting)).success, true);
  await until('his stream shows it', () => hisEvents.got.some(({ descr }) => descr === 'new'), 30_000);
  await until('the lost transfer is done again', async () => (await balanceOf(alice)) === 960, 30_000);
  await until('the views show the ledger', async () => (await balanceOf(bob)) === 47, 30_000);
  assert.deepEqual([...herEvents.errors, ...hisEvents.errors], []);
  await Promise.all(users.map(user => user.close()));
});
