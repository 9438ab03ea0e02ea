import assert from 'node:assert/strict';
import { after, before, beforeEach, type TestContext, test } from 'node:test';
import type pg from 'pg';
import { FencedMemberError, KafkaUnavailableError } from '../../../lib/kafka/index.ts';
import type { Ops } from '../../../lib/ops/index.ts';
import { migrate, openPool } from '../../../services/command-handler/postgres.ts';
import { keepTenures, type TenureOptions } from '../../../services/command-handler/tenures.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { until } from '../../support/until.ts';

let postgres: ScratchPostgres;
let pool: pg.Pool;
let ops: Ops;
before(async () => {
  postgres = await scratchPostgres();
  pool = openPool({ address: { url: postgres.url }, size: 4, transactionTimeoutMs: 3_000 }, quietOps().log);
  await migrate(pool, []);
});
after(async () => {
  await pool.end();
  await postgres.drop();
});
beforeEach(async () => {
  ops = quietOps();
  await postgres.query('TRUNCATE penstock.command_positions');
});

const end = 10;
const topics: TenureOptions['topics'] = {
  identity: async () => ({ topicId: 'id', partitions: 24 }),
  epochEnd: async () => undefined,
  offsets: async (_, partitions) => new Map(partitions.map(partition => [partition, { start: 0, end }])),
};
const inspect: TenureOptions['inspect'] = async claims => new Set(claims.map(({ partition }) => partition));
function keep(t: TestContext, options: Partial<TenureOptions> = {}) {
  const tenures = keepTenures({
    ...{ pool, topics, commandTopics: ['commands'], ops, heartbeat: async () => {}, inspect },
    ...{ onHeld() {}, onTruncated: async () => {}, onLetGo() {} },
    ...options,
  });
  t.after(() => tenures.close());
  return tenures;
}
const stored = (partition: number, generation: number, position: number, leaderEpoch?: number) =>
  postgres.query(
    'INSERT INTO penstock.command_positions (topic, partition, epoch, generation, position, topic_id, leader_epoch, leader_epoch_at) VALUES ($1, $2, 1, $3, $4, $5, $6, $4)',
    ['commands', partition, generation, position, 'id', leaderEpoch],
  );

test('the verdict on an older generation takes nothing of a newer assignment', async t => {
  await stored(3, 57, 0);
  const verdict = Promise.withResolvers<void>();
  let asked = 0;
  const tenures = keep(t, { heartbeat: () => (asked++ === 0 ? verdict.promise : Promise.resolve()) });
  tenures.assigned({ generation: 1, partitions: [3] });
  await until('the group is asked', () => asked === 1);
  tenures.assigned({ generation: 2, partitions: [3] });
  verdict.reject(new FencedMemberError('ILLEGAL_GENERATION in generation 1'));
  await until('it is held', () => tenures.held().includes(3));
});

test('a position beyond the log’s end is no reason any more when its partition is another handler’s', async t => {
  await stored(3, 1, end + 1);
  const tenures = keep(t);
  tenures.assigned({ generation: 1, partitions: [3, 4] });
  await until('a reason', () => ops.readiness.reasons().positions);
  tenures.assigned({ generation: 2, partitions: [4, 5] });
  await until('the others are held', () => tenures.held().length === 2);
  assert.deepEqual(ops.readiness.reasons(), {});
});

test('a log that was truncated below the position is gone on with from where it was cut, and is no other topic', async t => {
  // Of leader 5 only the records up to 8 are left, or none: then its predecessor's are gone through again.
  const cases = [
    { found: { leaderEpoch: 5, endOffset: 8 }, below: undefined, from: 8 },
    { found: { leaderEpoch: 3, endOffset: 9 }, below: { leaderEpoch: 2, endOffset: 4 }, from: 4 },
    { found: { leaderEpoch: -1, endOffset: 0 }, below: undefined, from: 0 },
  ];
  for (const [partition, { found, below, from }] of cases.entries()) {
    await stored(partition, 1, end + 5, 5);
    const held: { position: number; readFrom: number }[] = [];
    const truncated: string[] = [];
    const tenures = keep(t, {
      topics: { ...topics, epochEnd: async (_, leaderEpoch) => (leaderEpoch === 5 ? found : below) },
      onHeld: (_, claims) => held.push(...claims),
      onTruncated: async ({ topic }) => void truncated.push(topic),
    });
    tenures.assigned({ generation: 1, partitions: [partition] });
    await until('it is held', () => held.length === 1);
    assert.deepEqual([held[0]?.position, held[0]?.readFrom], [end + 5, from]);
    assert.deepEqual(truncated, ['commands']);
    assert.deepEqual(ops.readiness.reasons(), {});
  }
});

test('a position beyond the log’s end of which no epoch is known stays a reason', async t => {
  await stored(3, 1, end + 5);
  keep(t).assigned({ generation: 1, partitions: [3] });
  assert.match(String(await until('a reason', () => ops.readiness.reasons().positions)), /another topic of that name/);
});

test('a partition that may not be served says why, as long as it is this handler’s', async t => {
  const tenures = keep(t, {
    inspect: async claims => new Set(claims.map(({ partition }) => partition).filter(partition => partition !== 7)),
    whyNotServed: partition => (partition === 7 ? 'the end of events/7 could not be read' : undefined),
  });
  tenures.assigned({ generation: 1, partitions: [6, 7] });
  await until('the other is held', () => tenures.held().includes(6));
  await until('the reason', () =>
    ops.readiness.reasons().claims?.endsWith('1 partitions are to be claimed: the end of events/7 could not be read'),
  );
  tenures.assigned({ generation: 2, partitions: [6] });
  await until('no reason', () => ops.readiness.reasons().claims === undefined);
});

test('a partition without a leader does not keep a handler from the others', async t => {
  let hasLeader = false;
  const tenures = keep(t, {
    topics: {
      ...topics,
      async offsets(topic, partitions) {
        if (partitions.includes(7) && !hasLeader) throw new KafkaUnavailableError(`${topic}/7 has no leader`);
        return topics.offsets(topic, partitions);
      },
    },
  });
  tenures.assigned({ generation: 1, partitions: [5, 6, 7] });
  await until('the others are held', () => tenures.held().length === 2);
  await until('one is missing', () => ops.readiness.reasons().claims?.startsWith('1 partitions'));
  hasLeader = true;
  await until('all are held', () => tenures.held().length === 3);
});
