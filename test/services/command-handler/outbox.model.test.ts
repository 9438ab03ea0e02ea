import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  handlerCount,
  keyCount,
  type Mutant,
  openWorld,
  partitionCount,
  type SimpleStep,
  type Step,
} from './outbox-world.ts';

const handler = fc.nat(handlerCount - 1);
const key = fc.nat(keyCount - 1);
const simple = (...names: SimpleStep[]) => fc.record({ do: fc.constantFrom(...names), handler });

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      handler,
      caller: key,
      others: fc.array(key, { maxLength: 3 }),
      again: fc.option(fc.nat(5), { nil: undefined, freq: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('repeat' as const), handler, caller: key, nth: fc.nat(5) }) },
  { weight: 8, arbitrary: simple('respond') },
  { weight: 12, arbitrary: simple('append') },
  { weight: 8, arbitrary: simple('acknowledge') },
  { weight: 5, arbitrary: simple('delete', 'forgetDelete') },
  { weight: 5, arbitrary: simple('notice', 'missNotice', 'poll') },
  { weight: 6, arbitrary: simple('deliver') },
  { weight: 2, arbitrary: simple('learnLosses', 'fail') },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('move' as const), handler, partition: fc.nat(partitionCount - 1) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), handler, surviving: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('ghost' as const), nth: fc.nat(5) }) },
);
const schedule = fc.array(step, { minLength: 10, maxLength: 120, size: 'max' });

function run(steps: readonly Step[], mutant?: Mutant): string | undefined {
  const world = openWorld(mutant);
  for (const each of steps) world.step(each);
  return world.settle();
}

test('every committed event is published, first occurrences in order, observed once, whatever crashes or stalls', () => {
  fc.assert(
    fc.property(schedule, steps => assert.equal(run(steps), undefined)),
    { numRuns: 10_000 },
  );
});

const mutants: Mutant[] = [
  "skips the rest of a key's rows",
  'publishes rows of foreign partitions',
  'selects by an id watermark',
  'deletes before the acknowledgement',
  'trusts memory across tenures',
  'vouches although rows were cut off',
  'publishes a repeated verdict around the outbox',
  'goes on in a lane behind a failed record',
];
for (const mutant of mutants) {
  test(`a handler that ${mutant} is caught`, () => {
    const details = fc.check(
      fc.property(schedule, steps => run(steps, mutant) === undefined),
      { numRuns: 20_000, seed: 1, endOnFailure: true },
    );
    assert.ok(details.failed, 'no schedule out of 20,000 showed the defect');
  });
}
