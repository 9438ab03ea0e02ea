import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openGatewayMetrics } from '../../../../services/gateway/metrics.ts';
import { openRecords } from '../../../../services/gateway/streams/records.ts';
import { quietOps } from '../../../support/quiet-ops.ts';
import { recordOf } from '../../../support/records.ts';

test('a cursor is shared by streams of one user, binding and sequence at one record, and by no others', () => {
  const ops = quietOps();
  const records = openRecords(openGatewayMetrics(ops.metrics), ops.log);
  const [record, next] = [recordOf({ n: 1 }), recordOf({ n: 2 }, { offset: 43 })];
  let made = 0;
  const make = () => `cursor-${++made}`;
  const alice = { userKey: 'alice', binding: 'notes' };
  const first = records.cursor(record, alice, 7, make);
  assert.equal(records.cursor(record, { ...alice }, 7, make), first);
  const others = [
    records.cursor(record, { ...alice, userKey: 'bob' }, 7, make),
    records.cursor(record, { ...alice, binding: 'notes{"min":5}' }, 7, make),
    records.cursor(record, alice, undefined, make),
    records.cursor(next, alice, 7, make),
  ];
  assert.equal(new Set([first, ...others]).size, 5);
  assert.equal(made, 5);
});
