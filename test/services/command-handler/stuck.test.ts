// starts first: three brokers of its own, one of which is killed
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { partitionOf } from '../../../lib/kafka/index.ts';
import { type ScratchBrokers, startScratchBrokers } from '../../support/scratch-brokers.ts';
import { until } from '../../support/until.ts';
import { openStage, type Stage, type TopicName } from './stage.ts';

let brokers: ScratchBrokers;
let stage: Stage;
const partitions = 3;
before(async () => {
  brokers = await startScratchBrokers(3);
  // One partition lies on a broker that is killed, everything else on another one.
  const brokerOf = (topic: TopicName, partition: number) => (topic === 'balance_changed' && partition === 0 ? 2 : 1);
  stage = await openStage({ partitions, brokers: brokers.addresses, brokerOf });
});
after(async () => {
  await stage?.close();
  await brokers?.close();
});

function userIn(partition: number, nth: number): string {
  for (let n = 0; ; n++) {
    const user = `user-${nth}-${n}`;
    if (partitionOf(user, partitions) === partition) return user;
  }
}

test('a partition that Kafka takes nothing for holds up its own commands and no others, in bounded memory, and all of it comes', async () => {
  const windowBytes = 65_536;
  const handler = await stage.start({ PENSTOCK_HANDLER_WINDOW_BYTES: `${windowBytes}` });
  await handler.ready();
  const payer = userIn(0, 0);
  const { iban } = await stage.verdict(payer, await stage.command(payer, 'openAccount', {}));
  await brokers.kill(2);
  // Events of one partition, more than the whole window holds.
  const count = 400;
  const pay = { token: '', amount: 1, from: 'cash', to: iban, descr: 'x'.repeat(200) };
  await Promise.all(Array.from({ length: count }, () => stage.command(payer, 'transferMoney', pay)));
  const stuck = `${stage.topic('balance_changed')}/0`;
  await until(
    'the handler names the partition',
    async () => (await handler.reasons()).publishing?.includes(stuck),
    60_000,
  );
  assert.equal(await handler.metric('penstock_handler_stuck_partitions'), 1);

  for (const partition of [1, 2]) {
    const other = userIn(partition, 1);
    const { success } = await stage.verdict(other, await stage.command(other, 'openAccount', {}));
    assert.equal(success, true);
  }
  // A row counts for no less than this.
  const underWay = await handler.metric('penstock_outbox_unacknowledged_records');
  assert.ok(underWay * 512 < windowBytes, `${underWay} rows are under way`);

  brokers.start(2);
  const events = await until(
    'every event comes',
    async () => {
      const found = await stage.read(stage.topic('balance_changed')).catch(() => []); // its broker is starting
      return found.length >= count ? found : undefined;
    },
    60_000,
  );
  const sequences = events.map(({ sequence }) => sequence);
  assert.deepEqual(
    sequences,
    [...new Set(sequences)].sort((a, b) => a - b),
  );
  await handler.ready();
  handler.signal('SIGTERM');
  assert.equal(await handler.exited, 0);
});

test('a handler that was stopped with events in memory writes none of them when it goes on: another one has done so', async () => {
  const names = { PENSTOCK_KAFKA_SESSION_TIMEOUT_MS: '3000' };
  const first = await stage.start(names);
  await first.ready();
  const payer = userIn(0, 7);
  const { iban } = await stage.verdict(payer, await stage.command(payer, 'openAccount', {}));
  await brokers.kill(2);
  const count = 20;
  const pay = { token: '', amount: 1, from: 'cash', to: iban, descr: '' };
  const ids = await Promise.all(Array.from({ length: count }, () => stage.command(payer, 'transferMoney', pay)));
  for (const id of ids) await stage.verdict(payer, id);
  await until('its events wait in its memory', async () => {
    return (await first.metric('penstock_outbox_unacknowledged_records')) === count;
  });

  first.signal('SIGSTOP');
  await stage.start(names);
  brokers.start(2);
  const mine = async () => (await stage.read(stage.topic('balance_changed'))).filter(({ key }) => key === payer);
  await until(
    'the other handler has published them',
    async () => (await mine().catch(() => [])).length >= count,
    90_000,
  );
  await until('and deleted them', async () => (await stage.postgres.query('SELECT FROM penstock.outbox')).length === 0);
  const before = (await mine()).length;
  assert.equal(before, count);

  first.signal('SIGCONT');
  await until('it has noticed', () =>
    first.log.some(line => JSON.stringify(line).includes('this process stood still')),
  );
  await until('nothing is left in its memory', async () => {
    return (await first.metric('penstock_outbox_unacknowledged_records').catch(() => 1)) === 0;
  });
  await first.ready();
  assert.equal((await mine()).length, before);
});
