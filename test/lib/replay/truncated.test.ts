import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PenstockError } from '../../../lib/errors.ts';
import { commonPoint, openHistories } from '../../../lib/replay/history.ts';
import { beginTap } from '../../../lib/replay/tap.ts';
import { topicMark } from '../../../lib/replay/topic-mark.ts';
import type { PartitionPosition, RecordStream, StreamPosition } from '../../../lib/replay/types.ts';
import { until } from '../../support/until.ts';
import { at, type OneLog, openOnePartition, recordAt } from './one-partition.ts';
import { offsetsOf, request, take } from './streams-on-kafka.ts';

const topicId = 'one-and-the-same';
const claim = { generation: 1, counter: 1, verify: async () => 'member' as const };
const fence = { generation: 1, counter: 1 };

/** Leader 3 has written up to 99, leader 5 the rest. */
const whole: OneLog = {
  topicId,
  start: 0,
  end: 120,
  epochs: [
    { leaderEpoch: 3, from: 0 },
    { leaderEpoch: 5, from: 100 },
  ],
};
/** A replica that was elected uncleanly had only some of leader 5's records, and has written others over the rest. */
const cut: OneLog = { ...whole, end: 140, epochs: [...(whole.epochs ?? []), { leaderEpoch: 7, from: 110 }] };
/** One that had none of them. */
const cutBefore: OneLog = {
  ...cut,
  epochs: [
    { leaderEpoch: 3, from: 0 },
    { leaderEpoch: 7, from: 100 },
  ],
};

function positionAt(offset: number, leaderEpoch?: number): StreamPosition {
  const item: PartitionPosition = { ...at, offset, timestampMs: -1, ...(leaderEpoch !== undefined && { leaderEpoch }) };
  return { partitions: [item], sequences: {}, topicMarks: { [at.topic]: topicMark(topicId) } };
}

async function expired(ended: Promise<unknown>): Promise<StreamPosition> {
  const error = await ended.then(
    () => assert.fail('not expired'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof PenstockError && error.code === 'CURSOR_EXPIRED', String(error));
  assert.match(error.message, /truncated/);
  return error.extensions.position as StreamPosition;
}

const resume = (position: StreamPosition, key?: string) =>
  request(at.topic, { key, start: { kind: 'position', position } });
const offsetIn = (position: StreamPosition) => position.partitions[0]?.offset;

test('a cursor of a history that is gone is expired before anything is served, one of what is common goes on', async () => {
  const one = openOnePartition({ ...cut });
  const streams = one.streams();
  await streams.hold(at.topic, 0);
  one.live(139);
  for (const [offset, epoch] of [
    [110, 5],
    [119, 5],
    [105, 6],
    [112, 3],
  ] as const) {
    const earliest = await expired(streams.open(resume(positionAt(offset, epoch))));
    assert.deepEqual(earliest, { ...positionAt(-1), sequences: {} });
  }
  for (const [offset, epoch] of [
    [109, 5],
    [99, 3],
    [138, 7],
    [115, undefined],
  ] as const) {
    const stream = await streams.open(resume(positionAt(offset, epoch)));
    assert.equal(offsetsOf(await take(stream, 1))[0], offset + 1);
    stream.close();
  }
  await streams.close();
});

test('cursors of the epoch that the tail reads ask no broker, a herd of those of an older one ask once', async () => {
  const one = openOnePartition({ ...cut });
  const streams = one.streams();
  await streams.hold(at.topic, 0);
  one.live(139);
  const open = async (offset: number, epoch: number) => (await streams.open(resume(positionAt(offset, epoch)))).close();
  await Promise.all(Array.from({ length: 20 }, (_, n) => open(111 + n, 7)));
  assert.equal(one.questions(), 0);
  await Promise.all(Array.from({ length: 1_000 }, (_, n) => open(100 + (n % 10), 5)));
  assert.equal(one.questions(), 1);
  await Promise.all(Array.from({ length: 1_000 }, (_, n) => open(100 + (n % 10), 5)));
  assert.equal(one.questions(), 1);
  await streams.close();
});

/** A live stream at the end of the whole log; then the log is another one. */
async function liveWhile(log: OneLog, key: string | undefined, given: readonly number[]) {
  const now = { ...whole };
  const one = openOnePartition(now);
  const streams = one.streams();
  await streams.hold(at.topic, 0);
  one.live(119);
  const stream = await streams.open(request(at.topic, { key }));
  const before = [...given];
  now.end = 121 + given.length;
  one.live(120, ...before);
  const taken = key === 'user' ? await take(stream, 1 + given.length) : [];
  Object.assign(now, log);
  const truncate = (endOffset: number, leaderEpoch: number) => one.fault('TRUNCATED', { endOffset, leaderEpoch });
  return { one, streams, stream, taken, truncate };
}

async function rest(stream: RecordStream): Promise<never> {
  for (;;) {
    const records = await stream.next();
    if (records === undefined) assert.fail('closed');
    for (const record of records) stream.advance(record);
  }
}

test('a live stream that was given records that are gone ends, and says where it can go on', async () => {
  const { streams, stream, truncate } = await liveWhile(cut, 'user', []);
  truncate(110, 5);
  const earliest = await expired(rest(stream));
  assert.equal(offsetIn(earliest), -1);
  assert.deepEqual(earliest.topicMarks, { [at.topic]: topicMark(topicId) });
  assert.equal(earliest.partitions[0]?.leaderEpoch, undefined);
  await streams.close();
});

test('a live stream of which nothing is gone goes on where the histories part, however far its log had been read', async () => {
  const { one, streams, stream, truncate } = await liveWhile(cut, 'nobody', []);
  assert.deepEqual(stream.watermark().partitions, [{ ...at, offset: 120, timestampMs: 1_120, leaderEpoch: 5 }]);
  truncate(110, 5);
  await until('it has caught up with the other history', () => offsetIn(stream.watermark()) === 139);
  assert.equal(stream.watermark().partitions[0]?.leaderEpoch, 7);
  one.live(140);
  assert.equal(offsetIn(stream.watermark()), 140);
  await streams.close();
});

for (const [name, keys] of [
  ['a record where it has passed one', ['user']],
  ['the first record behind what it has passed', ['other', 'user']],
] as const) {
  test(`a stream that is ahead of its tail notices that the log was cut between them, by ${name}`, async () => {
    const now: OneLog = { topicId, start: 0, end: 91, epochs: [{ leaderEpoch: 3, from: 0 }] };
    const one = openOnePartition(now);
    const streams = one.streams();
    await streams.hold(at.topic, 0);
    one.live(90);
    now.end = 101;
    const stream = await streams.open(resume(positionAt(100, 3), 'user'));
    now.epochs = [...(now.epochs ?? []), { leaderEpoch: 4, from: 92 }];
    now.end = 110;
    const shown = Array.from({ length: 19 }, (_, n) => 91 + n);
    one.liveRecords(
      ...shown.map(offset => ({
        ...recordAt(offset, 5, now),
        key: Buffer.from((offset <= 100 ? keys[0] : keys.at(-1)) ?? ''),
      })),
    );
    const ended: unknown[] = [];
    rest(stream).catch(error => ended.push(error));
    await until('the stream ends', () => ended.length > 0);
    assert.equal(offsetIn(await expired(Promise.reject(ended[0]))), -1);
    await streams.close();
  });
}

for (const how of ['its watermark', 'the stream that closes', 'the tail that stops'] as const) {
  test(`an idle stream that is ahead of its tail is not moved over a cut by ${how}`, async () => {
    const now: OneLog = { topicId, start: 0, end: 91, epochs: [{ leaderEpoch: 3, from: 0 }] };
    const one = openOnePartition(now);
    const streams = one.streams();
    await streams.hold(at.topic, 0);
    one.live(90);
    now.end = 101;
    const stream = await streams.open(resume(positionAt(100, 3), 'nobody'));
    now.epochs = [...(now.epochs ?? []), { leaderEpoch: 5, from: 92 }];
    now.end = 110;
    one.live(...Array.from({ length: 19 }, (_, n) => 91 + n));
    if (how === 'the stream that closes') stream.close();
    if (how === 'the tail that stops') one.fault('OFFSET_OUT_OF_RANGE');
    assert.equal(offsetIn(stream.watermark()), 100);
    assert.equal(stream.watermark().partitions[0]?.leaderEpoch, 3);
    if (how !== 'the stream that closes') assert.equal(offsetIn(await expired(rest(stream))), -1);
    await streams.close();
  });
}

test('a stream that is ahead of its tail goes on over an election that has cost no record', async () => {
  const now: OneLog = { topicId, start: 0, end: 91, epochs: [{ leaderEpoch: 3, from: 0 }] };
  const one = openOnePartition(now);
  const streams = one.streams();
  await streams.hold(at.topic, 0);
  one.live(90);
  now.end = 101;
  const stream = await streams.open(resume(positionAt(100, 3), 'user'));
  now.epochs = [...(now.epochs ?? []), { leaderEpoch: 4, from: 101 }];
  now.end = 104;
  one.live(...Array.from({ length: 13 }, (_, n) => 91 + n));
  assert.deepEqual(offsetsOf(await take(stream, 3)), [101, 102, 103]);
  await streams.close();
});

test('a sequence that was seen only in what is gone does not make a new record a repeat', async () => {
  const log = { ...whole, sequenceAt: (offset: number) => offset };
  const one = openOnePartition(log);
  const streams = one.streams();
  await streams.hold(at.topic, 0);
  one.live(119);
  const stream = await streams.open(request(at.topic, { key: 'user' }));
  Object.assign(log, cut, { sequenceAt: (offset: number) => offset - 50 });
  one.fault('TRUNCATED', { endOffset: 110, leaderEpoch: 5 });
  assert.deepEqual(
    offsetsOf(await take(stream, 30)),
    Array.from({ length: 30 }, (_, n) => 110 + n),
  );
  assert.deepEqual(stream.watermark().sequences, { [at.topic]: 89 });
  await streams.close();
});

test('where nothing is left of the last epoch, the last record that was given decides', () => {
  const passed = { offset: 120, timestampMs: -1, leaderEpoch: 5 };
  const passedEnd = { leaderEpoch: 3, endOffset: 100 };
  const given = { offset: 80, timestampMs: 1_080, leaderEpoch: 3 };
  assert.deepEqual(commonPoint({ passed, given }, passedEnd, { leaderEpoch: 3, endOffset: 100 }), given);
  assert.equal(commonPoint({ passed, given }, passedEnd, { leaderEpoch: 3, endOffset: 80 }), undefined);
  const unknown = { offset: 80, timestampMs: -1 };
  assert.equal(commonPoint({ passed, given: unknown }, passedEnd, undefined), undefined);
  assert.equal(commonPoint({ passed, given: passed }, passedEnd, passedEnd), undefined);
});

for (const [name, log, diverging] of [
  ['in the middle of the last epoch', cut, { leaderEpoch: 5, endOffset: 110 }],
  ['before all of it', cutBefore, { leaderEpoch: 3, endOffset: 100 }],
] as const) {
  test(`a tap hears the records that a log has anew where it had heard others, cut ${name}`, async () => {
    const now = { ...whole };
    const one = openOnePartition(now);
    const heard: string[] = [];
    const end = await beginTap(at, ({ offset, leaderEpoch }) => heard.push(`${offset}/${leaderEpoch}`), one);
    one.live(119);
    now.end = 121;
    one.live(120);
    Object.assign(now, log);
    one.fault('TRUNCATED', diverging);
    await until('the tap has heard what there is', () => heard.includes('139/7'));
    const anew = heard.slice(1);
    assert.equal(heard[0], '120/5');
    for (let offset = Math.min(119, diverging.endOffset); offset < 140; offset += 1) {
      assert.ok(anew.includes(`${offset}/7`), `${offset}`);
    }
    end();
    one.close();
  });
}

test('a window whose log was truncated is not taken over: another one is begun', async () => {
  const one = openOnePartition({ ...cut });
  const window = { id: 'w', tail: 119, from: 0, tailEpoch: 5, mark: { offset: 119, timestampMs: 1_119 } };
  const opened: string[] = [];
  const buffer = one.buffer({
    claim: async () => ({ answer: 'OK', fence, window }),
    open: async (_, __, id) => {
      opened.push(id ?? '');
      return { answer: 'OK' };
    },
    append: () => assert.fail('the window that was found is gone on with'),
  });
  buffer.keep(at, claim, () => one.tails.acquire(at, true));
  await until('a window is begun', () => opened.length > 0);
  assert.notEqual(opened[0], 'w');
  buffer.close();
  one.close();
});

test('what a window says of a log that was truncated since is not shown', async () => {
  const one = openOnePartition({ ...cut });
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const buffer = one.buffer({
    read: async () => ({ tail: 119, tailEpoch: 5, from: 0, last: undefined, timestampMs: undefined, entries: [] }),
  });
  const tail = one.tails.acquire(at, false);
  await tail.ready();
  one.live(139);
  const histories = openHistories({ epochEnd: async () => ({ leaderEpoch: 5, endOffset: 110 }) });
  const holds = (last: { offset: number; timestampMs: number }) => histories.shares(at, tail, last);
  buffer.read(at, { key: 'user', topicId, after: { offset: 100, timestampMs: -1 }, check: false, holds }, resolve);
  assert.equal(await promise, undefined);
  buffer.close();
  one.close();
});

test('a replay that meets another history is told, others on the same scan go on', async () => {
  const one = openOnePartition({ ...cut });
  const told: string[] = [];
  const join = (name: string, from: number, lastEpoch: number | undefined) =>
    one.scans.join(at, {
      ...{ from, lastEpoch, until: 140, key: undefined, expected: undefined },
      scanned: () => told.push(`${name} is shown`) > 0,
      failed: fault => void told.push(`${name}: ${fault}`),
    });
  join('common', 105, 5);
  join('old', 105, undefined);
  join('gone', 115, 5);
  join('other', 105, 6);
  join('new', 115, 7);
  await until('all are served', () => told.length === 5);
  assert.deepEqual(told.toSorted(), [
    'common is shown',
    'gone: TRUNCATED',
    'new is shown',
    'old is shown',
    'other: TRUNCATED',
  ]);
  one.close();
});
