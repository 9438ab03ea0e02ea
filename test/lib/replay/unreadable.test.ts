import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PenstockError } from '../../../lib/errors.ts';
import { openTopics, recordSkip } from '../../../lib/kafka/index.ts';
import type { RecordStream, StreamPosition } from '../../../lib/replay/index.ts';
import { writeUnreadable } from '../../support/unreadable.ts';
import { until } from '../../support/until.ts';
import { openStreamsOnKafka, request, type StreamsOnKafka, take, valuesOf } from './streams-on-kafka.ts';

let world: StreamsOnKafka;
before(() => {
  world = openStreamsOnKafka();
});
after(() => world.close());

/** Takes what a stream gives until it ends with CURSOR_EXPIRED. */
async function untilExpired(stream: RecordStream): Promise<{ values: string[]; error: PenstockError }> {
  const values: string[] = [];
  try {
    for (;;) values.push(...valuesOf(await take(stream, 1)).map(String));
  } catch (error) {
    assert.ok(error instanceof PenstockError && error.code === 'CURSOR_EXPIRED', String(error));
    return { values, error };
  }
}

test('streams end before a batch that nobody can read, live and from a cursor, with what it is and the position behind it', async () => {
  const topic = await world.kafka.topic(1);
  const at = { topic, partition: 0 };
  const { streams } = world.replica();
  const live = [await streams.open(request(topic)), await streams.open(request(topic, { key: 'k' }))];
  await world.write(topic, 0, [{ key: 'k', value: 'before' }]);
  const first = await streams.open(request(topic, { start: { kind: 'earliest' } }));
  await take(first, 1);
  const cursor = first.watermark();
  first.close();
  await writeUnreadable(at);
  await world.write(topic, 0, [{ key: 'k', value: 'behind' }]);

  const open = (position: StreamPosition) =>
    streams.open(request(topic, { key: 'k', start: { kind: 'position', position } }));
  const ends = [...live.map(stream => untilExpired(stream)), open(cursor).then(untilExpired)];
  for (const [index, { values, error }] of (await Promise.all(ends)).entries()) {
    assert.deepEqual(values, index < live.length ? ['before'] : []);
    assert.match(error.message, new RegExp(`offsets 1 to 1 of ${topic}/0 cannot be read`));
    const behind = error.extensions.position as StreamPosition;
    assert.deepEqual(valuesOf(await take(await open(behind), 1)), ['behind']);
  }

  const topics = openTopics(world.kafka.connection, { honourSkips: false });
  await recordSkip({ topics, lanes: world.lanes, replicationFactor: 1 }, at, 1);
  await topics.close();
  const skipping = await until('a stream that passes over it', async () =>
    open(cursor)
      .then(stream => take(stream, 1))
      .catch((error: unknown): undefined => {
        assert.ok(error instanceof PenstockError && error.code === 'CURSOR_EXPIRED', String(error));
      }),
  );
  assert.deepEqual(valuesOf(skipping), ['behind']);
});
