import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginTap } from '../../../lib/replay/tap.ts';
import { until } from '../../support/until.ts';
import { at, openOnePartition } from './one-partition.ts';

const claim = { generation: 1, counter: 1, verify: async () => 'member' as const };
const fence = { generation: 1, counter: 1 };

test('a tap hears a topic that was made anew, whatever offset it had reached in the one before', async () => {
  const log = { topicId: 'before-1', start: 0, end: 1_001 };
  const one = openOnePartition(log);
  const heard: number[] = [];
  const end = await beginTap(at, ({ offset }) => heard.push(offset), one);
  one.live(1_001);
  Object.assign(log, { topicId: 'after-22', end: 3 });
  one.fault('TOPIC_RECREATED');
  await until('the tail to read the new topic', () => one.from() === 3);
  one.live(3, 4);
  await until('the tap to hear it', () => heard.includes(4));
  assert.deepEqual(heard, [1_001, 3, 4]);
  end();
  one.close();
});

test('a listener that throws costs nobody else a record, nor the ring', async () => {
  const one = openOnePartition({ topicId: 'id', start: 0, end: 1_001 });
  const tail = one.tails.acquire(at, true);
  await tail.ready();
  const stopped = () => {};
  const heard: number[] = [];
  const throwing = ({ record }: { record: { offset: number } }) => {
    if (record.offset === 1_002) throw new RangeError('Invalid string length');
  };
  tail.attach(undefined, { live: throwing, stopped });
  tail.attach('user', { live: ({ record }) => void heard.push(record.offset), stopped });
  one.live(1_001, 1_002, 1_003);
  one.live(1_004);
  assert.deepEqual(heard, [1_001, 1_002, 1_003, 1_004]);
  const ring = [...tail.ring.after(1_000, 2_000)].map(({ record }) => record.offset);
  assert.deepEqual(ring, heard);
  one.close();
});

test('a gap that comes in one large fetch is filled with all of it', async () => {
  const one = openOnePartition({ topicId: 'id', start: 0, end: 150_020 });
  let [newTail, appended] = [10, 0];
  const window = { id: 'w', tail: 10, from: 0, mark: { offset: 10, timestampMs: 1_010 } };
  const buffer = one.buffer(
    {
      claim: async () => ({ answer: 'OK', fence, window }),
      async append(_, append) {
        appended += append.records.length;
        newTail = append.newTail;
        return { answer: 'OK' };
      },
    },
    1_000_000,
  );
  buffer.keep(at, claim, () => one.tails.acquire(at, true));
  await until('all is appended', () => newTail === 150_019);
  assert.equal(appended, 150_009);
  buffer.close();
  one.close();
});

test('a partition that is given away while Redis fails is degraded no more', async () => {
  const one = openOnePartition({ topicId: 'id', start: 0, end: 10 });
  const failed = Promise.withResolvers<never>();
  let calls = 0;
  const buffer = one.buffer({
    claim() {
      calls++;
      return failed.promise;
    },
  });
  buffer.keep(at, claim, () => one.tails.acquire(at, true));
  await until('it claims', () => calls === 1);
  buffer.leave(at);
  failed.reject(new Error('Redis is away'));
  await new Promise(resolve => setImmediate(resolve));
  const text = await one.ops.metrics.getSingleMetricAsString('penstock_replay_buffer_degraded_partitions');
  assert.match(text, /degraded_partitions 0$/m);
  buffer.close();
  one.close();
});
