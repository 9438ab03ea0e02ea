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
