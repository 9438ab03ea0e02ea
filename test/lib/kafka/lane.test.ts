import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Lane, type Passenger, type Producer } from '../../../lib/kafka/lane.ts';
import { judge } from '../../../lib/kafka/lane-verdict.ts';
import { sizeOf } from '../../../lib/kafka/wire/record-batch.ts';

const at = { topic: 't', partition: 0 };

function passenger(lane: Lane, name: string, valueBytes = 10): Passenger {
  const record = { key: name, value: 'x'.repeat(valueBytes) };
  const unused = () => undefined;
  return { lane, record, timestampMs: 1, sizeBytes: sizeOf(record), deadline: 1, resolve: unused, reject: unused };
}

const names = (passengers: readonly Passenger[] | undefined) => passengers?.map(({ record }) => record.key);

/**
 * A broker's side of the idempotent producer (KIP-98): a sequence that it has is dropped, one that skips is refused.
 * Remembers one batch only, which is all that a lane needs.
 */
class Log {
  readonly keys: string[] = [];
  readonly #last = new Map<bigint, { first: number; next: number }>();

  append(producerId: bigint, baseSequence: number, keys: readonly string[]): 'written' | 'out of order' {
    const last = this.#last.get(producerId) ?? { first: -1, next: 0 };
    if (last.first === baseSequence && last.next === baseSequence + keys.length) return 'written';
    if (last.next !== baseSequence) return 'out of order';
    this.keys.push(...keys);
    this.#last.set(producerId, { first: baseSequence, next: baseSequence + keys.length });
    return 'written';
  }
}

test('whatever answers get lost, records are in the log once and in order; after a new producer none is missing', () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ push: fc.integer({ min: 1, max: 5 }) }) },
    {
      weight: 4,
      arbitrary: fc.record({ send: fc.constantFrom('answered', 'answer lost', 'request lost', 'too large', 'fatal') }),
    },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const lane = new Lane(at, 200);
      const log = new Log();
      let producer: Producer = { producerId: 1n, producerEpoch: 0 };
      let pushed = 0;
      let fatal = false;
      const send = (what: string) => {
        const batch = lane.load(producer);
        if (batch === undefined) return;
        const { producerId, baseSequence } = batch.stamp;
        if (what === 'request lost') return lane.doubt();
        if (what === 'too large') {
          // As a broker refuses a size, it refuses it each time: only what has not been written can be.
          if (!batch.unsure) lane.split();
          return;
        }
        if (what === 'fatal') {
          fatal = true;
          producer = { producerId: producer.producerId + 1n, producerEpoch: 0 };
          return lane.restamp();
        }
        const result = log.append(producerId, baseSequence, names(batch.passengers) as string[]);
        assert.equal(result, 'written');
        if (what === 'answer lost') lane.doubt();
        else lane.written();
      };
      for (const now of steps) {
        if ('push' in now) for (let i = 0; i < now.push; i++) lane.push(passenger(lane, `${pushed++}`));
        else send(now.send);
      }
      while (!lane.idle) send('answered');
      const expected = Array.from({ length: pushed }, (_, i) => `${i}`);
      if (!fatal) assert.deepEqual(log.keys, expected);
      // After a fatal error a batch may be there twice, as documented; never less than once, never out of order.
      else assert.deepEqual([...new Set(log.keys)], expected);
    }),
    { numRuns: 500 },
  );
});

test('a batch that is refused as too large goes again in halves until only single records are left', () => {
  const lane = new Lane(at, 10_000);
  for (let i = 0; i < 8; i++) lane.push(passenger(lane, `${i}`, 100));
  const producer = { producerId: 1n, producerEpoch: 0 };
  const sizes: (number | undefined)[] = [];
  for (;;) {
    sizes.push(lane.load(producer)?.passengers.length);
    if (!lane.split()) break;
  }
  assert.deepEqual(sizes, [8, 3, 1]); // half of the bytes, less a batch's header
  assert.deepEqual(names(lane.giveUp().passengers), ['0']);
  assert.deepEqual(names(lane.load(producer)?.passengers), ['1']);
});

test('after small batches have been taken, batches grow again', () => {
  const lane = new Lane(at, 2_000);
  const producer = { producerId: 1n, producerEpoch: 0 };
  for (let i = 0; i < 200; i++) lane.push(passenger(lane, `${i}`, 100));
  lane.load(producer);
  lane.split();
  const first = lane.load(producer)?.passengers.length ?? 0;
  let last = 0;
  while (!lane.idle) {
    last = Math.max(last, lane.load(producer)?.passengers.length ?? 0);
    lane.written();
  }
  assert.ok(last > first, `${last} after ${first}`);
});

test('a sequence that may have been used is not used again by the same producer', () => {
  const lane = new Lane(at, 1_000);
  lane.push(passenger(lane, 'a'));
  lane.load({ producerId: 1n, producerEpoch: 0 });
  lane.doubt();
  const { unsure, stamp } = lane.giveUp();
  assert.equal(unsure, true);
  assert.equal(stamp?.producerId, 1n);
});

const again: Readonly<Record<string, (lane: Lane) => void>> = {
  'goes again under another producer': lane => lane.restamp(),
  'is split': lane => void lane.split(),
  'goes again under another producer, in smaller batches': lane => {
    lane.restamp();
    lane.load({ producerId: 2n, producerEpoch: 0 });
    lane.split();
  },
};
for (const [how, goAgain] of Object.entries(again)) {
  test(`a record of a batch whose answer was lost may be in the log, also after the batch ${how}`, () => {
    const lane = new Lane(at, 10_000);
    for (const name of ['a', 'b', 'c']) lane.push(passenger(lane, name, 100));
    lane.load({ producerId: 1n, producerEpoch: 0 });
    lane.doubt();
    goAgain(lane);
    lane.push(passenger(lane, 'later'));
    const inDoubt = (passengers: readonly Passenger[]) =>
      passengers.map(each => [each.record.key, each.unsure === true]);
    lane.load({ producerId: 3n, producerEpoch: 0 });
    const given = [...lane.giveUp().passengers, ...lane.remove(() => true)];
    assert.deepEqual(inDoubt(given), [
      ['a', true],
      ['b', true],
      ['c', true],
      ['later', false],
    ]);
  });
}

test('sequences wrap as the broker expects', () => {
  const lane = new Lane(at, 1_000_000);
  const producer = { producerId: 1n, producerEpoch: 0 };
  lane.push(passenger(lane, 'a'));
  const batch = lane.load(producer);
  assert.ok(batch);
  batch.stamp.baseSequence = 2 ** 31 - 1;
  lane.written();
  lane.push(passenger(lane, 'b'));
  assert.equal(lane.load(producer)?.stamp.baseSequence, 0);
});

test('an unknown answer is tried again, and taken for perhaps written', () => {
  assert.equal(judge(12_345), 'again-unsure');
  assert.equal(judge(0), 'written');
  assert.equal(judge(10), 'split');
  assert.equal(judge(6), 'moved');
  assert.equal(judge(45), 'new-producer');
});
