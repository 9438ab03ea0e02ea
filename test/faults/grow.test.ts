import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { plainEnvironment } from '../../dev/stack/environment.ts';
import { root } from '../../dev/stack/options.ts';
import { partitionOf } from '../../lib/kafka/index.ts';
import { account, collector, transactions, transferMoney, verdictOf } from '../support/bank.ts';
import { startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { openUser } from '../support/user.ts';

const run = promisify(execFile);
const names = Array.from({ length: 100 }, (_, i) => `user-${i}`);
const moved = names.find(name => partitionOf(name, 2) !== partitionOf(name, 3)) ?? '';
const stayed = names.find(name => partitionOf(name, 2) === partitionOf(name, 3)) ?? '';

test('topics grow: whose key moves and whose does not get everything once and in order, live and with an old cursor', async t => {
  const stack = await startStack({ gateways: 1, partitions: 2 });
  t.after(() => stack.stop());
  const users = await Promise.all([moved, stayed].map(name => openUser(stack.url, name)));
  const accounts = await Promise.all(users.map(user => account(user)));
  const live = users.map(user => {
    const events = collector();
    return { events, stream: user.subscribe({ query: transactions, extensions: { from: 'earliest' } }, events) };
  });
  const payIn = async (from: number, to: number) => {
    for (let n = from; n < to; n++) {
      for (const [index, user] of users.entries()) {
        const { iban = '', token = '' } = accounts[index] ?? {};
        const answer = await user.post(transferMoney, { token, amount: 1, from: 'cash', to: iban, descr: `${n}` });
        assert.equal(verdictOf(answer).success, true);
      }
    }
  };
  const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `${from + i}`);

  await payIn(0, 6);
  for (const { events } of live) await until('the first six', () => events.got.length === 6);
  const old = live.map(({ events }) => events.cursors[2] ?? '');
  const script = ['dev/grow-partitions.ts', '--folder', stack.folder, '--partitions'];
  const options = { cwd: root, env: plainEnvironment(process.env) };
  await assert.rejects(run(process.execPath, [...script, '1'], options), /never gets fewer partitions/);
  const { stdout } = await run(process.execPath, [...script, '3'], options);
  assert.match(stdout, /the topics have 3 partitions/);
  await payIn(6, 12);

  for (const [index, user] of users.entries()) {
    const { events } = live[index] ?? assert.fail();
    await until('all, live', () => events.got.length >= 12, 30_000);
    assert.deepEqual(
      events.got.map(({ descr }) => descr),
      numbers(0, 12),
    );
    const late = collector();
    user.subscribe({ query: transactions, extensions: { cursor: old[index] } }, late);
    await until('all behind an old cursor', () => late.got.length >= 9);
    assert.deepEqual(
      late.got.map(({ descr }) => descr),
      numbers(3, 12),
    );
    await until('the view', async () => {
      const { data } = await user.post('{ account { balance } }');
      return (data.account as { balance: number } | null)?.balance === 12;
    });
    assert.deepEqual([...events.errors, ...late.errors], []);
  }
  await Promise.all(users.map(user => user.close()));
});
