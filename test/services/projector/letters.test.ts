import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { DirectReader, RecordSink, Topics } from '../../../lib/kafka/index.ts';
import { Feeds } from '../../../services/projector/feeds.ts';
import { type Letters, openLetters } from '../../../services/projector/letters.ts';
import { openProjectorMetrics } from '../../../services/projector/metrics.ts';
import { recordAt } from '../../lib/replay/one-partition.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { until } from '../../support/until.ts';

let ops: ReturnType<typeof quietOps>;
let feeds: Feeds;
let letters: Letters;
let sent: { offset: number; answer: PromiseWithResolvers<void> }[];
const sinks = new Map<number, RecordSink>();

beforeEach(() => {
  ops = quietOps();
  sent = [];
  const reader: Partial<DirectReader> = {
    assign: ({ partition }, _offset, sink) => void sinks.set(partition, sink),
    unassign() {},
    position: () => undefined,
  };
  feeds = new Feeds({
    ...{ reader: reader as DirectReader, topics: {} as Topics, bytesPerPartition: 100_000_000, ops },
    ...{ onWork() {}, onLost() {}, onRecreated() {}, tablesOf: () => [] },
  });
  const send: Parameters<typeof openLetters>[0]['deadLetters'] = {
    send({ record: { offset } }) {
      const answer = Promise.withResolvers<void>();
      sent.push({ offset, answer });
      return answer.promise;
    },
  };
  letters = openLetters({ feeds, deadLetters: send, metrics: openProjectorMetrics(ops.metrics), ops });
  for (const partition of [0, 1]) {
    const at = { topic: 'topic', partition };
    feeds.open({ ...at, epoch: 1, next: 0, topicId: 'id' });
    const records = [0, 1, 2].map(offset => ({ ...recordAt(offset), ...at }));
    sinks.get(partition)?.onBatch({ ...at, records, nextOffset: 3, endOffset: 3, topicId: 'id' });
  }
});

function post(partition: number) {
  const helping = feeds.take(100).find(({ feed }) => feed.at.partition === partition);
  assert.ok(helping);
  letters.post(
    helping.feed,
    helping.records.map(record => ({ record, reason: 'it fits not' })),
  );
  return helping;
}
const readable = () => feeds.take(100).map(({ feed }) => feed.at.partition);

test('while a letter is under way its partition waits, and no other; a letter that takes long is told', async () => {
  const { records } = post(0);
  assert.deepEqual(readable(), [1]);
  assert.deepEqual(
    sent.map(({ offset }) => offset),
    [0, 1, 2],
  );
  const reason = await until('a reason', () => ops.readiness.reasons().partitions);
  assert.match(reason, /^topic\/0 waits at offset 0 for its dead letter: topic-dlt is not acknowledged yet; /);
  for (const { answer } of sent) answer.resolve();
  await until('the partition goes on', () => readable().includes(0));
  assert.ok(records.every(letters.isSettled));
});

test('a letter that failed is sent again, those that were written are not, and its partition waits meanwhile', async () => {
  const { records } = post(0);
  sent[0]?.answer.resolve();
  sent[1]?.answer.reject(new Error('the topic is full'));
  sent[2]?.answer.resolve();
  const reason = await until('a reason', () => ops.readiness.reasons().partitions);
  assert.match(reason, /^topic\/0 waits at offset 1 for its dead letter: the topic is full; /);
  assert.deepEqual(records.map(letters.isSettled), [true, false, true]);
  assert.deepEqual(readable(), [1]);
  await until('its time is over', () => readable().includes(0));
  assert.ok(ops.readiness.reasons().partitions, 'the reason stays until the partition goes on');
});
