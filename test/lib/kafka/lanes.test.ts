import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openLanes, ProduceError, TooLargeError } from '../../../lib/kafka/index.ts';
import { contentOf, openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

let kafka: ScratchKafka;
before(() => {
  kafka = openScratchKafka();
});
after(() => kafka.close());

test('thousands of sends over 24 partitions: each record once, in order, at the offset that its send gave', async () => {
  const topic = await kafka.topic(24);
  const lanes = openLanes(kafka.connection, { bufferBytes: 300_000 });
  const sent: { partition: number; value: string; result: Promise<{ offset: number }> }[] = [];
  for (let i = 0; i < 12_000; i++) {
    const partition = (i * 7) % 24;
    const value = `${i}:${'x'.repeat((i * 13) % 200)}`;
    sent.push({ partition, value, result: lanes.send({ topic, partition }, { key: `k${i % 50}`, value }) });
    if (i % 250 === 0) await sent.at(-1)?.result;
  }
  await Promise.all(sent.map(({ result }) => result));
  await lanes.close();
  for (let partition = 0; partition < 24; partition++) {
    const mine = sent.filter(one => one.partition === partition);
    const content = await contentOf(kafka.topics, { topic, partition });
    assert.deepEqual(
      content,
      mine.map(({ value }) => value),
    );
    const offsets = await Promise.all(mine.map(async ({ result }) => (await result).offset));
    assert.deepEqual(
      offsets,
      mine.map((_, index) => index),
    );
  }
});

test('keys, values and headers arrive as they were sent, null included', async () => {
  const topic = await kafka.topic(1);
  const at = { topic, partition: 0 };
  const lanes = openLanes(kafka.connection, { bufferBytes: 100_000 });
  await lanes.send(at, { key: 'ü', value: Buffer.from([0, 255]), headers: { a: 'b', c: Buffer.from('d') } });
  await lanes.send(at, { key: null, value: null });
  await lanes.close();
  const { records } = await kafka.topics.fetch(at, 0, 100_000);
  assert.deepEqual(
    records.map(({ key, value, headers }) => ({ key, value, headers })),
    [
      { key: Buffer.from('ü'), value: Buffer.from([0, 255]), headers: { a: Buffer.from('b'), c: Buffer.from('d') } },
      { key: null, value: null, headers: {} },
    ],
  );
  assert.ok(Math.abs((records[0]?.timestampMs ?? 0) - Date.now()) < 60_000);
});

test('a record over the limit is refused at once, and nothing of it is written', async () => {
  const topic = await kafka.topic(1);
  const lanes = openLanes(kafka.connection, { bufferBytes: 10_000_000 });
  const at = { topic, partition: 0 };
  await assert.rejects(lanes.send(at, { key: 'k', value: 'x'.repeat(1_100_000) }), TooLargeError);
  await lanes.send(at, { key: 'k', value: 'x'.repeat(1_000_000) });
  await lanes.close();
  assert.equal(await kafka.topics.endOffset(at), 1);
});

test('a batch that the topic refuses is bisected: only the record that is too large is lost, and what its key had behind it', async () => {
  const topic = await kafka.topic(1, { 'max.message.bytes': '20000' });
  const at = { topic, partition: 0 };
  const lanes = openLanes(kafka.connection, { bufferBytes: 10_000_000 });
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, (_, i) =>
      lanes.send(at, { key: `k${i % 10}`, value: i === 43 ? 'x'.repeat(30_000) : `${i}` }),
    ),
  );
  const lost = results.flatMap((result, i) => (result.status === 'rejected' ? [{ i, reason: result.reason }] : []));
  assert.deepEqual(
    lost.map(({ i }) => i),
    [43, 53, 63, 73, 83, 93],
  );
  assert.ok(lost[0]?.reason instanceof TooLargeError, String(lost[0]?.reason));
  for (const { reason } of lost.slice(1)) {
    assert.ok(reason instanceof ProduceError && reason.outcome === 'not-written', String(reason));
  }
  await lanes.send(at, { key: 'k3', value: 'after' });
  await lanes.close();
  const expected = Array.from({ length: 100 }, (_, i) => `${i}`).filter((_, i) => !(i >= 43 && i % 10 === 3));
  assert.deepEqual(await contentOf(kafka.topics, at), [...expected, 'after']);
});

test('a record for a partition that does not exist is given up in time, others go on', async () => {
  const topic = await kafka.topic(2);
  const lanes = openLanes(kafka.connection, { bufferBytes: 100_000, deliveryTimeoutMs: 500 });
  const lost = lanes.send({ topic, partition: 5 }, { key: 'k', value: 'lost' });
  const kept = lanes.send({ topic, partition: 1 }, { key: 'k', value: 'kept' });
  await assert.rejects(lost, (error: unknown) => error instanceof ProduceError && error.outcome === 'not-written');
  assert.deepEqual(await kept, { offset: 0 });
  await lanes.close();
});

test('while no broker answers, sends wait within the budget and are given up in time; close ends', async () => {
  const away = openScratchKafka(['127.0.0.1:1']);
  const lanes = openLanes(away.connection, { bufferBytes: 1_000, deliveryTimeoutMs: 300 });
  const results = await Promise.allSettled(
    Array.from({ length: 50 }, () => lanes.send({ topic: 't', partition: 0 }, { key: 'k', value: 'x'.repeat(100) })),
  );
  for (const result of results) {
    assert.ok(result.status === 'rejected' && result.reason instanceof ProduceError);
    assert.equal(result.reason.outcome, 'not-written');
  }
  await lanes.close();
  await lanes.close();
  await assert.rejects(lanes.send({ topic: 't', partition: 0 }, { key: 'k', value: 'late' }), ProduceError);
  await away.connection.close();
});

test('a record that is given up for its age takes along the younger ones of its key, and no others', async () => {
  const away = openScratchKafka(['127.0.0.1:1']);
  const lanes = openLanes(away.connection, { bufferBytes: 300, deliveryTimeoutMs: 3_000 });
  const ended: string[] = [];
  const send = (key: string, name: string) =>
    lanes.send({ topic: 't', partition: 0 }, { key, value: 'x'.repeat(50) }).then(
      () => assert.fail('there is no broker'),
      (error: ProduceError) => void ended.push(`${name} ${error.outcome} ${/same key/.test(error.message)}`),
    );
  const first = performance.now();
  const sent = [send('k', 'old k')];
  // Far enough apart that a process that is held up for a second does not find them all late at once.
  await until('half of the time has passed', () => performance.now() > first + 1_500);
  // two that wait in the lane, and two that wait for room
  for (const name of ['k', 'other', 'k', 'other']) sent.push(send(name, `young ${name}`));
  await Promise.all(sent);
  assert.deepEqual(ended, [
    'old k not-written false',
    'young k not-written true',
    'young k not-written true',
    'young other not-written false',
    'young other not-written false',
  ]);
  await lanes.close();
  await away.connection.close();
});

test('what is withdrawn is not sent, and nothing is while sending is not allowed; the rest goes as soon as it is', async () => {
  const topic = await kafka.topic(1);
  const at = { topic, partition: 0 };
  let allowed = false;
  const lanes = openLanes(kafka.connection, { bufferBytes: 250, maySend: () => allowed });
  const lost = new AbortController();
  // Two wait in the lane, the others for room.
  const results = Promise.allSettled(
    ['a', 'b', 'c', 'd', 'e', 'f'].map((key, index) =>
      lanes.send(at, { key, value: 'x'.repeat(50) }, index % 2 === 0 ? lost.signal : undefined),
    ),
  );
  await assert.rejects(lanes.send(at, { key: 'late', value: '' }, AbortSignal.abort()), ProduceError);
  lost.abort();
  assert.equal(await kafka.topics.endOffset(at), 0);
  allowed = true;
  assert.deepEqual(
    (await results).map(({ status }) => status),
    ['rejected', 'fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'],
  );
  await lanes.close();
  const { records } = await kafka.topics.fetch(at, 0, 100_000);
  assert.deepEqual(
    records.map(({ key }) => String(key)),
    ['b', 'd', 'f'],
  );
});

test('close sends what is buffered', async () => {
  const topic = await kafka.topic(3);
  const lanes = openLanes(kafka.connection, { bufferBytes: 2_000 });
  const sends = Array.from({ length: 300 }, (_, i) =>
    lanes.send({ topic, partition: i % 3 }, { key: 'k', value: `${i}` }),
  );
  await lanes.close();
  await Promise.all(sends);
  const ends = await kafka.topics.offsets(topic, [0, 1, 2]);
  assert.deepEqual(
    [...ends.values()].map(({ end }) => end),
    [100, 100, 100],
  );
});
