import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type SeamRules, seamRules } from '../../../lib/replay/seam.ts';
import { World } from './world.ts';

type Step =
  | { step: 'append'; log: number; key: string; repeat: number; gap: number; count: number }
  | { step: 'show'; log: number; count: number }
  | { step: 'scan'; which: number; count: number; again: number }
  | { step: 'buffer'; which: number; knows: boolean; behind: number; page: number }
  | { step: 'buffer-away'; away: boolean }
  | { step: 'take' }
  | { step: 'advance'; count: number }
  | { step: 'ping' }
  | { step: 'fault'; log: number }
  | { step: 'restart'; log: number }
  | { step: 'forget'; log: number }
  | { step: 'reconnect'; fromPing: boolean };

interface Schedule {
  /** OWN: repeats and reconnects. ALL: one or the other, because its memory of sequences ends with the connection. */
  own: boolean;
  repeats: boolean;
  partitions: number;
  bufferRecords: number;
  ringRecords: number;
  steps: readonly Step[];
}

const nat = (max: number) => fc.nat({ max });
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      step: fc.constant('append' as const),
      log: nat(2),
      key: fc.constantFrom('a', 'b'),
      repeat: fc.oneof(fc.constant(0), nat(3)),
      gap: fc.oneof(fc.constant(0), nat(1)),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ step: fc.constant('show' as const), log: nat(2), count: nat(4) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      step: fc.constant('scan' as const),
      which: nat(3),
      count: fc.integer({ min: 1, max: 4 }),
      again: nat(2),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      step: fc.constant('buffer' as const),
      which: nat(3),
      knows: fc.boolean(),
      behind: nat(4),
      page: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ step: fc.constant('buffer-away' as const), away: fc.boolean() }) },
  { weight: 5, arbitrary: fc.constant<Step>({ step: 'take' }) },
  { weight: 5, arbitrary: fc.record({ step: fc.constant('advance' as const), count: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 3, arbitrary: fc.constant<Step>({ step: 'ping' }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constant('fault' as const), log: nat(2) }) },
  { weight: 2, arbitrary: fc.record({ step: fc.constant('restart' as const), log: nat(2) }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constant('forget' as const), log: nat(2) }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constant('reconnect' as const), fromPing: fc.boolean() }) },
);
const schedules: fc.Arbitrary<Schedule> = fc.record({
  own: fc.boolean(),
  repeats: fc.boolean(),
  partitions: fc.integer({ min: 1, max: 3 }),
  bufferRecords: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constant(1_000)),
  ringRecords: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 6 }), fc.constant(1_000)),
  steps: fc.array(steps, { maxLength: 80, size: 'max' }),
});

/** @returns what went wrong. */
async function play(schedule: Schedule, rules: SeamRules): Promise<readonly string[]> {
  const { own, partitions, bufferRecords, ringRecords } = schedule;
  const world = new World({
    partitions: own ? 1 : partitions,
    key: own ? 'a' : undefined,
    bufferRecords,
    ringRecords,
    rules,
  });
  for (const item of schedule.steps) {
    switch (item.step) {
      case 'append':
        for (let count = 0; count < item.count; count += 1) {
          world.log(item.log).append(item.key, schedule.repeats ? item.repeat : 0, item.gap);
        }
        break;
      case 'show':
        world.log(item.log).show(item.count);
        break;
      case 'scan':
        world.scans.step(item.which, item.count, item.again);
        break;
      case 'buffer':
        world.buffer.answer(item.which, item.knows, item.behind, item.page);
        break;
      case 'buffer-away':
        world.buffer.away = item.away;
        break;
      case 'take':
        await world.take();
        break;
      case 'advance':
        world.advance(item.count);
        break;
      case 'ping':
        world.checkWatermark();
        break;
      case 'fault':
        world.log(item.log).fail('OFFSET_OUT_OF_RANGE');
        break;
      case 'restart':
        world.log(item.log).restart();
        break;
      case 'forget':
        world.forget(item.log);
        break;
      case 'reconnect':
        if (own || !schedule.repeats) await world.reconnect(item.fromPing);
        break;
    }
  }
  await world.finish();
  return world.problems;
}

const runs = Number(process.env.TEST_SCHEDULES ?? 1_500);

test('whatever the order of live, replay, faults and reconnects: each record once, in order, and no watermark too far', async () => {
  await fc.assert(
    fc.asyncProperty(schedules, async schedule => {
      assert.deepEqual(await play(schedule, seamRules), []);
    }),
    { numRuns: runs },
  );
});

const mutants: Readonly<Record<string, Partial<SeamRules>>> = {
  'forgets the records that waited for the replay': { release: () => [] },
  'meets live one record too early': { meets: (passed, until) => passed + 2 >= until },
  'does not drop duplicates by offset': { isNew: () => true },
  'drops the first new record as a duplicate': { isNew: (offset, passed) => offset > passed + 1 },
  'skips the sequence check': { repeats: () => false },
  'takes only lower sequences for repeats': {
    repeats: (last, sequence) => last !== undefined && sequence !== undefined && sequence < last,
  },
  'lets the watermark pass what is not delivered yet': { watermark: (_floor, _lastQueued, reached) => reached },
  'lets the watermark stay behind': { watermark: floor => floor },
};
for (const [name, rules] of Object.entries(mutants)) {
  test(`a seam that ${name} is found out`, async () => {
    const found = await fc.check(
      fc.asyncProperty(schedules, async schedule => {
        assert.deepEqual(await play(schedule, { ...seamRules, ...rules }), []);
      }),
      { numRuns: Math.max(runs, 3_000), seed: 1, endOnFailure: true },
    );
    assert.ok(found.failed, `survived ${found.numRuns} schedules`);
  });
}
