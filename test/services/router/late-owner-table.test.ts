import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PenstockError } from '../../../lib/errors.ts';
import { lateOwnerTable } from '../../../services/router/late-owner-table.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { ownersByHand } from '../../support/router.ts';
import { until } from '../../support/until.ts';

test('an owner table that cannot be opened yet owns nothing, says why, and is opened as soon as it can be', async () => {
  const ops = quietOps();
  const inner = ownersByHand(5);
  let ready = false;
  const table = lateOwnerTable(() => (ready ? Promise.resolve(inner) : Promise.reject(new Error('no Kafka'))), ops);
  await until('the reason is named', () => ops.readiness.reasons().owners === 'no Kafka');
  assert.equal(table.owner(1), undefined);
  assert.throws(
    () => table.partitionCount(),
    (error: unknown) => error instanceof PenstockError && error.code === 'UNAVAILABLE',
  );
  assert.equal(await table.waitForOwner(1, 20), undefined);
  const waiting = table.waitForOwner(1, 10_000);
  inner.give('http://a');
  ready = true;
  assert.equal((await waiting)?.address, 'http://a');
  assert.equal(table.partitionCount(), 5);
  assert.equal(ops.readiness.reasons().owners, undefined);
  await table.close();
});

test('an owner table that never opens can be closed', async () => {
  const table = lateOwnerTable(() => Promise.reject(new Error('no Kafka')), quietOps());
  await table.close();
  assert.equal(table.owner(0), undefined);
});
