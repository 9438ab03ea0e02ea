import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type pg from 'pg';
import { KafkaUnavailableError, type Topics } from '../../../lib/kafka/index.ts';
import { type Claimed, claim } from '../../../services/command-handler/claims.ts';
import { openLagOffsets } from '../../../services/command-handler/lag-offsets.ts';
import {
  type LedgerCheck,
  type LedgerCheckOptions,
  openLedgerCheck,
} from '../../../services/command-handler/ledger-check.ts';
import { migrate, openPool } from '../../../services/command-handler/postgres.ts';
import { open } from '../../../services/command-handler/statements.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';

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
beforeEach(() =>
  postgres.query('TRUNCATE penstock.command_positions, penstock.reconciled_logs, penstock.ledger_fault'),
);

const at = { topic: 'commands', partition: 0 };

async function take(generation: number): Promise<Claimed[]> {
  return [...(await claim(pool, [at], generation, () => ({ start: 0, topicId: 'one' }), false)).claimed];
}

function openCheck(committed: number, options: Partial<LedgerCheckOptions> = {}): LedgerCheck {
  const ops = quietOps();
  return openLedgerCheck({
    ...{ pool, ops, log: ops.log, names: [], topics: {} as Topics, underWay: () => [] },
    committed: async () => [{ ...at, offset: committed, topicId: 'one' }],
    ...options,
  });
}

async function move(claims: readonly Claimed[], fromOffset: number, toOffset: number): Promise<void> {
  const [{ epoch } = { epoch: 0 }] = claims;
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const { moved } = await open(client, [{ ...at, epoch, fromOffset, toOffset }], []);
    assert.equal(moved.length, 1);
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}

test('a position that goes back because its log was cut is no lost ledger to whoever knew the old one; one that goes back behind it is', async () => {
  const other = openCheck(0);
  const first = await take(1);
  assert.equal((await other.inspect(first)).size, 1);
  await move(first, 0, 100);
  other.noteCommitted([{ ...at, epoch: first[0]?.epoch ?? 0, fromOffset: 0, toOffset: 100 }]);

  const second = await take(2);
  await move(second, 100, 85);
  // The group's offset was committed by whoever did not know of the cut yet.
  const third = await take(3);
  assert.equal((await other.inspect(third)).size, 1);
  assert.equal((await openCheck(100).inspect(third)).size, 1);
  await move(third, 85, 120);
  const living = openCheck(120);
  const fourth = await take(4);
  assert.equal((await living.inspect(fourth)).size, 1);
  await postgres.query('UPDATE penstock.command_positions SET position = 110');
  assert.equal((await living.inspect(await take(5))).size, 0);
});

test('what a batch of an earlier claim has moved says nothing of the topic that is claimed now, in memory or to the group', async () => {
  const check = openCheck(0);
  const [old] = await take(1);
  assert.ok(old);
  await check.inspect([old]);
  const lag = openLagOffsets(check.reached);
  const span = { ...at, epoch: old.epoch, fromOffset: 0, toOffset: 70 };
  lag.note([span]);
  const anew = { ...old, epoch: old.epoch + 1, topicId: 'two', position: 0 };
  await check.inspect([anew]);
  check.noteCommitted([span]);
  assert.deepEqual(check.reached(at), { epoch: anew.epoch, position: 0, topicId: 'two' });
  assert.deepEqual(lag.take([0]), [], 'it was noted in the topic before');
  lag.note([span]);
  assert.deepEqual(lag.take([0]), [], 'it comes late');
  lag.note([{ ...span, epoch: anew.epoch, toOffset: 3 }]);
  assert.deepEqual(lag.take([1]), []);
  lag.note([{ ...span, epoch: anew.epoch, toOffset: 3 }]);
  assert.deepEqual(lag.take([0]), [{ ...at, offset: 3, topicId: 'two' }]);
});

test('an event partition whose end can not be read is named once, until it can', async () => {
  let hasLeader = false;
  const offsets: Topics['offsets'] = async () => {
    if (!hasLeader) throw new KafkaUnavailableError('no leader');
    return new Map([[0, { start: 0, end: 0 }]]);
  };
  const told: unknown[] = [];
  const ops = quietOps();
  ops.log.warn = (fields: unknown) => void told.push(fields);
  const check = openCheck(0, { names: ['events'], topics: { offsets } as Topics, ops });
  for (const generation of [1, 2]) assert.equal((await check.inspect(await take(generation))).size, 0);
  assert.match(String(check.whyNotServed(0)), /the end of events\/0 could not be read/);
  assert.deepEqual(told, [{ event: 'log_end_unread', topic: 'events', partition: 0 }]);
  hasLeader = true;
  assert.equal((await check.inspect(await take(3))).size, 1);
  assert.equal(check.whyNotServed(0), undefined);
});
