import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { DirectReader, RecordSink, Topics } from '../../../lib/kafka/index.ts';
import type { Ops } from '../../../lib/ops/index.ts';
import type { Target } from '../../../services/projector/batch.ts';
import { Feeds } from '../../../services/projector/feeds.ts';
import { openProjectorMetrics } from '../../../services/projector/metrics.ts';
import { openWorker, type Worker } from '../../../services/projector/worker.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { until } from '../../support/until.ts';

const at = { topic: 'topic', partition: 17 };
let ops: Ops;
let sink: RecordSink | undefined;
let worker: Worker | undefined;
let feeds: Feeds;
beforeEach(() => {
  ops = quietOps();
  const reader: Partial<DirectReader> = {
    assign: (_at, _offset, taker) => void (sink = taker),
    unassign() {},
    pause() {},
    resume() {},
    position: () => undefined,
  };
  feeds = new Feeds({
    ...{ reader: reader as DirectReader, topics: {} as Topics, bytesPerPartition: 1_000_000, ops },
    onWork: () => worker?.wake(),
    ...{ onLost() {}, onRecreated() {}, tablesOf: () => [] },
  });
});

test('records that could not be applied are no reason any more when their partition is another projector’s', async () => {
  const transaction = () => Promise.reject(new Error('connect ECONNREFUSED'));
  const mine = openWorker({
    ...{ feeds, store: { transaction }, target: {} as Target, tables: new Map(), batchRecords: 100, ops },
    metrics: openProjectorMetrics(ops.metrics),
    letters: { isSettled: () => true, post() {} },
    ...{ onStale() {}, onApplied() {} },
  });
  worker = mine;
  feeds.open({ ...at, epoch: 1, next: 0, topicId: 'id' });
  sink?.onBatch({ ...at, records: [], nextOffset: 5, endOffset: 5, topicId: 'id' });
  await until('a reason', () => ops.readiness.reasons().rows);
  feeds.keepOnly(new Set());
  await until('no reason', () => ops.readiness.reasons().rows === undefined);
  await mine.close();
});

test('a partition that was refused is no reason any more when it is another projector’s', () => {
  feeds.refuse(at, 'topic/17 was created again');
  feeds.keepOnly(new Set([at.partition]));
  assert.match(String(ops.readiness.reasons().partitions), /created again/);
  feeds.keepOnly(new Set([3]));
  assert.equal(ops.readiness.reasons().partitions, undefined);
});

test('a partition whose records can’t be taken is a reason that names where it stands', async () => {
  feeds.open({ ...at, epoch: 1, next: 40, topicId: 'id' });
  sink?.onFault('SINK_FAILED', { ...at, offset: 40 });
  const reason = await until('a reason', () => ops.readiness.reasons().partitions);
  assert.equal(reason, "topic/17 can't be read at offset 40: SINK_FAILED");
});
