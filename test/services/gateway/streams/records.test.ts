import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KafkaRecord } from '../../../../lib/kafka/index.ts';
import type { Projection } from '../../../../services/gateway/graphql/projection.ts';
import { openGatewayMetrics } from '../../../../services/gateway/metrics.ts';
import { openRecords } from '../../../../services/gateway/streams/records.ts';
import { quietOps } from '../../../support/quiet-ops.ts';
import { recordOf } from '../../../support/records.ts';

test('a cursor is shared by streams of one user, binding and sequence at one record, and by no others', () => {
  const ops = quietOps();
  const records = openRecords(openGatewayMetrics(ops.metrics), ops.log, 1_000_000);
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

test('what is remembered of records is bounded in bytes, and what was forgotten is worked out again', () => {
  const ops = quietOps();
  const records = openRecords(openGatewayMetrics(ops.metrics), ops.log, 1_000_000);
  const all = Array.from({ length: 20 }, (_, offset) => recordOf({ text: 'x'.repeat(100_000) }, { offset }));
  const alice = { userKey: 'alice', binding: 'notes' };
  let made = 0;
  const take = (list: readonly KafkaRecord[]) => {
    for (const record of list) records.cursor(record, alice, undefined, () => `cursor-${++made}`);
  };
  take(all);
  assert.equal(made, 20);
  // Three copies of 100 KB each: the newest three fit into the million.
  take(all.slice(-3));
  assert.equal(made, 20);
  take(all.slice(0, 1));
  assert.equal(made, 21);
});

test('results that are many times as large as their record count as they are', () => {
  const ops = quietOps();
  const records = openRecords(openGatewayMetrics(ops.metrics), ops.log, 1_000_000);
  let rendered = 0;
  const aliased = (times: number) =>
    ({
      members() {
        rendered++;
        return 'x'.repeat(times * 1_000);
      },
    }) as unknown as Projection;
  const record = recordOf({ text: 'x'.repeat(1_000) });
  const [few, many] = [aliased(50), aliased(300)];
  for (let count = 0; count < 3; count++) records.members(few, record, {});
  assert.equal(rendered, 1);
  for (let count = 0; count < 3; count++) records.members(many, record, {});
  assert.equal(rendered, 4, 'more than a quarter of all is not kept');
  for (let count = 0; count < 30; count++) records.members(aliased(200), recordOf({ n: count }, { offset: count }), {});
  records.members(few, record, {});
  assert.equal(rendered, 35, 'it was forgotten for the others');
});
