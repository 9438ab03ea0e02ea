import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { partitionOf, readGrowths } from '../../../lib/kafka/index.ts';
import { GrowthRefusedError, openGrowing } from '../../../services/command-handler/growing.ts';
import { openReconciling } from '../../../services/command-handler/reconcile.ts';
import { kafkaAddress } from '../../support/scratch-kafka.ts';
import { openTransactionalProducer, type TransactionalProducer } from '../../support/transactional-producer.ts';
import { until } from '../../support/until.ts';
import { openStage, type Stage } from './stage.ts';

let stage: Stage;
let producer: TransactionalProducer;
before(async () => {
  stage = await openStage();
  producer = await openTransactionalProducer([kafkaAddress()]);
});
after(async () => {
  await producer?.close();
  await stage?.close();
});

async function owners(): Promise<string[]> {
  const rows = await stage.postgres.query<{ owner: string }>('SELECT owner FROM bank.accounts ORDER BY owner');
  return rows.map(({ owner }) => owner);
}

test('G22: a command of a transaction is executed when that commits, never when it aborts; topics grow when none is open', async () => {
  const handler = await stage.start();
  await handler.ready();
  const [user = ''] = ['alice', 'bob', 'carol', 'dave', 'erin'].filter(
    name => partitionOf(name, stage.partitions) === 0,
  );
  const at = { topic: stage.topic('commands'), partition: 0 };
  const open = (key: string, id: string = randomUUID()) => {
    const headers = { ce_specversion: '1.0', ce_id: id, ce_type: 'openAccount', ce_source: '/test' };
    return { key, headers };
  };
  const kept = randomUUID();
  const committed = await producer.begin();
  await committed.send(at, ['{}'], open(user, kept));
  await committed.commit();
  await stage.verdict(user, kept);
  const aborted = await producer.begin();
  await aborted.send(at, ['{}'], open(`not ${user}`));
  await aborted.abort();
  const plain = await stage.command(user, 'openAccount', {});
  await stage.verdict(user, plain);
  assert.deepEqual(await owners(), [user]);
  const dropped = await producer.begin();
  await dropped.send(at, ['{}'], open(`not ${user} either`));
  await dropped.abort();
  const hanging = await producer.begin();
  await hanging.send({ topic: stage.topic('balance_changed'), partition: 1 }, ['{}']);
  handler.signal('SIGTERM');
  assert.equal(await handler.exited, 0);

  // Other tests run gateways and projectors beside this one, in the groups that are the default.
  const groups = { PENSTOCK_OWNERSHIP_GROUP: stage.kafka.group(), PENSTOCK_PROJECTOR_GROUP: stage.kafka.group() };
  const growing = await openGrowing({ ...stage.settings, ...groups });
  const reconciling = await openReconciling(stage.settings);
  try {
    const name = stage.topic('balance_changed');
    assert.match((await growing.backlog()) ?? '', new RegExp(`^a transaction is open in ${name}/1 at offset 0`));
    await assert.rejects(growing.grow(stage.partitions + 1), GrowthRefusedError);
    const looking = { apply: undefined, sinceMs: undefined, onLost: () => undefined };
    await assert.rejects(reconciling.run(looking), /a transaction is open in/);
    await hanging.commit();
    await until('nothing on its way', async () => (await growing.backlog()) === undefined);
    await growing.grow(stage.partitions + 1);
    const growths = await readGrowths(stage.kafka.topics, [name]);
    assert.equal(growths.get(name)?.[0]?.ends[1], 2); // the record, and the marker that commits it
  } finally {
    await growing.close();
    await reconciling.close();
  }
  assert.deepEqual(await owners(), [user]);
});
