import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Flow, type FlowStream } from '../../../lib/replay/flow.ts';
import { Seam } from '../../../lib/replay/seam.ts';
import { openSequenceMemory } from '../../../lib/replay/sequence-filter.ts';
import { beginTap } from '../../../lib/replay/tap.ts';
import { until } from '../../support/until.ts';
import { at, openOnePartition, recordAt } from './one-partition.ts';

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
  await until('the tail to read the new topic', () => one.from() === 2);
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

test('a batch that comes again after a part of it was shown is shown to its end, each record once', async () => {
  const one = openOnePartition({ topicId: 'id', start: 0, end: 1_001 });
  const tail = one.tails.acquire(at, true);
  await tail.ready();
  const heard: number[] = [];
  tail.attach(undefined, { live: ({ record }) => void heard.push(record.offset), stopped() {} });
  const broken = {
    ...recordAt(1_003),
    get key(): Buffer {
      throw new RangeError('Array buffer allocation failed');
    },
  };
  assert.throws(() => one.liveRecords(recordAt(1_001), recordAt(1_002), broken));
  one.live(1_001, 1_002, 1_003, 1_004);
  assert.deepEqual(heard, [1_001, 1_002, 1_003, 1_004]);
  assert.equal(tail.reached().offset, 1_004);
  const ring = [...tail.ring.after(tail.ring.first - 1, 2_000)].map(({ record }) => record.offset);
  assert.deepEqual(ring, [1_003, 1_004], 'complete from its first offset on');
  one.close();
});

test('a stream that cannot take a record is told so at once: it ends, rather than go on behind it', async () => {
  const one = openOnePartition({ topicId: 'id', start: 0, end: 1_001 });
  const tail = one.tails.acquire(at, false);
  await tail.ready();
  const taken: number[] = [];
  const faults: string[] = [];
  const stream: FlowStream = {
    ...{ key: undefined, mark: undefined, buffer: undefined, readTurns: undefined },
    ...{ scans: one.scans, histories: { shares: async () => true }, metrics: one.metrics },
    ...{ hasRoom: () => true, mayKeep: () => true, keep() {} },
    queue({ record }) {
      if (record.offset === 1_002) throw new RangeError('Array buffer allocation failed');
      taken.push(record.offset);
    },
    ...{ replayed: () => true, wentLive() {}, interrupted() {} },
    faulted(flow, fault) {
      faults.push(fault);
      flow.close();
    },
  };
  new Flow(at, tail, new Seam(tail.reached(), openSequenceMemory(10)), stream).begin(false);
  one.live(1_001, 1_002, 1_003);
  assert.deepEqual([taken, faults], [[1_001], ['SINK_FAILED']]);
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
