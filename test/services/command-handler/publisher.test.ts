import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type pg from 'pg';
import type { Lanes } from '../../../lib/kafka/index.ts';
import { ProduceError } from '../../../lib/kafka/index.ts';
import { openMetrics } from '../../../services/command-handler/metrics.ts';
import { openOutbox } from '../../../services/command-handler/outbox.ts';
import { migrate, openPool } from '../../../services/command-handler/postgres.ts';
import { tenuresOf } from '../../../services/command-handler/publication.ts';
import { openPublisher } from '../../../services/command-handler/publisher.ts';
import type { OutboxRow } from '../../../services/command-handler/types.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { until } from '../../support/until.ts';

let postgres: ScratchPostgres;
let pool: pg.Pool;
before(async () => {
  postgres = await scratchPostgres();
  pool = openPool({ address: { url: postgres.url }, size: 4, transactionTimeoutMs: 3_000 }, quietOps().log);
  await migrate(pool, []);
});
after(async () => {
  await pool.end();
  await postgres.drop();
});

const rowOf = (key: string, sequence: number, partition = 0): OutboxRow => ({
  ...{
    key,
    sequence,
    repetition: 0,
    partition,
    topic: 'events',
    eventId: `${key}${sequence}`,
    timeMs: 1,
    value: '{}',
  },
  ...{ commandId: undefined, traceparent: undefined, appendedMs: undefined },
});
const store = ({ key, sequence, eventId, partition }: OutboxRow) =>
  postgres.query(
    `INSERT INTO penstock.outbox (partition, user_key, sequence, repetition, announced, topic, event_id, time_ms, value)
     VALUES ($4, $1, $2, 0, false, 'events', $3, 1, '{}')`,
    [key, sequence, eventId, partition],
  );

test('a row that Kafka refuses while its partition is begun anew for another one is sent again', async () => {
  const ops = quietOps();
  const outbox = openOutbox();
  const sent: { id: string; refuse(): void; take(): void }[] = [];
  const lanes: Pick<Lanes, 'send'> = {
    send: (_, { key, headers }) =>
      new Promise((resolve, reject) => {
        sent.push({
          id: `${key}${headers?.ce_keysequence}`,
          refuse: () => reject(new ProduceError('refused: TOPIC_AUTHORIZATION_FAILED', 'not-written')),
          take: () => resolve({ offset: 0 }),
        });
      }),
  };
  const ids = () => sent.map(({ id }) => id);
  const publisher = openPublisher({
    ...{
      pool,
      postgres: { url: postgres.url },
      lanes,
      outbox,
      ops,
      windowBytes: 1_000_000,
      owned: () => [0],
      onRoom() {},
    },
    metrics: openMetrics(ops.metrics, outbox.unacknowledged),
  });
  const commit = async (row: OutboxRow) => {
    const tenures = tenuresOf(outbox, [0]);
    await store(row);
    publisher.publish({ own: [row], rest: [], restComplete: true, tenures });
  };
  publisher.gain(0);
  await commit(rowOf('k', 1));
  await until('it is sent', () => ids().includes('k1'));
  sent[0]?.refuse();
  await new Promise(resolve => setImmediate(resolve));
  await commit(rowOf('l', 1));
  await until('the other one is sent', () => ids().includes('l1'));
  sent.find(({ id }) => id === 'l1')?.refuse();
  const before = sent.length;
  await until('both are sent again', () => ['k1', 'l1'].every(id => ids().slice(before).includes(id)), 5_000);
  for (const { take } of sent) take();
  await publisher.close(1_000);
  assert.deepEqual(await postgres.query('SELECT 1 FROM penstock.outbox'), []);
});

test('rows of a partition that Kafka does not acknowledge, however many, hide none of another partition', async () => {
  const ops = quietOps();
  const outbox = openOutbox();
  const sent: { partition: number; take(): void }[] = [];
  const lanes: Pick<Lanes, 'send'> = {
    send: ({ partition }) =>
      new Promise(resolve => {
        sent.push({ partition, take: () => resolve({ offset: 0 }) });
        if (partition > 0) resolve({ offset: 0 });
      }),
  };
  const windowBytes = 1_000_000;
  const publisher = openPublisher({
    ...{ pool, postgres: { url: postgres.url }, lanes, outbox, ops, windowBytes, owned: () => [0, 1, 2], onRoom() {} },
    metrics: openMetrics(ops.metrics, outbox.unacknowledged),
  });
  const of = (partition: number) => sent.filter(each => each.partition === partition);
  // More than are selected at a time, and more than the partition may have under way.
  await postgres.query(
    `INSERT INTO penstock.outbox (partition, user_key, sequence, repetition, announced, topic, event_id, time_ms, value)
     SELECT 0, 'stuck', n, 0, false, 'events', n::text, 1, '{}' FROM generate_series(1, 3000) AS n`,
  );
  for (const partition of [0, 1, 2]) publisher.gain(partition);
  await until('the partition has no room', () => !publisher.hasRoom(0), 10_000);
  const most = of(0).length;
  assert.ok(most * 512 < windowBytes, `${most} rows are under way`);
  for (const [partition, key] of [
    [1, 'a'],
    [2, 'b'],
  ] as const) {
    assert.ok(publisher.hasRoom(partition));
    await store(rowOf(key, 1, partition)); // another handler wrote it, and its notification is lost
    await until('the row of the other partition is sent', () => of(partition).length === 1, 10_000);
  }
  assert.equal(of(0).length, most);
  let taken = 0;
  await until(
    'all of it is in the log once Kafka takes it',
    async () => {
      for (const { take } of sent.slice(taken)) take();
      taken = sent.length;
      return (await postgres.query('SELECT FROM penstock.outbox')).length === 0;
    },
    30_000,
  );
  // A select that was under way while rows were deleted may show them once more: repeats, and none is missing.
  assert.equal(of(0).length, 3_000);
  await publisher.close(1_000);
});
