import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TenureError, type TenureEvent, transition } from '../../../lib/ownership/tenure.ts';
import type { Tenure } from '../../../lib/ownership/types.ts';

const tenures: Readonly<Record<Tenure['state'], Tenure>> = {
  foreign: { state: 'foreign' },
  claiming: { state: 'claiming', generation: 3, epoch: undefined },
  owned: { state: 'owned', epoch: 7, generation: 3 },
  'handing-over': { state: 'handing-over', epoch: 7, untilMs: 1_000, succeeded: false },
};
const events: Readonly<Record<TenureEvent['event'], TenureEvent>> = {
  assigned: { event: 'assigned', generation: 4 },
  claimed: { event: 'claimed', epoch: 8 },
  unassigned: { event: 'unassigned', untilMs: 2_000 },
  succeeded: { event: 'succeeded' },
  lost: { event: 'lost' },
  'window-ended': { event: 'window-ended' },
};

const foreign = { state: 'foreign' };
const error = 'error';
/** Every pair. An entry is the tenure that follows and its effects, or an error. */
const figure: Record<
  Tenure['state'],
  Record<TenureEvent['event'], readonly [object, readonly string[]] | typeof error>
> = {
  foreign: {
    assigned: [{ state: 'claiming', generation: 4, epoch: undefined }, ['claim']],
    claimed: error,
    unassigned: error,
    succeeded: error,
    lost: error,
    'window-ended': error,
  },
  claiming: {
    assigned: [{ state: 'claiming', generation: 4, epoch: undefined }, ['claim']],
    claimed: [{ state: 'owned', epoch: 8, generation: 3 }, []],
    unassigned: [foreign, ['release']],
    succeeded: error,
    lost: [foreign, []],
    'window-ended': error,
  },
  owned: {
    assigned: [{ state: 'owned', epoch: 7, generation: 4 }, []],
    claimed: [{ state: 'owned', epoch: 8, generation: 3 }, []],
    unassigned: [{ state: 'handing-over', epoch: 7, untilMs: 2_000, succeeded: false }, ['open-window']],
    succeeded: error,
    lost: [foreign, []],
    'window-ended': error,
  },
  'handing-over': {
    assigned: [{ state: 'claiming', generation: 4, epoch: 7 }, ['close-window', 'claim']],
    claimed: error,
    unassigned: error,
    succeeded: [{ state: 'handing-over', epoch: 7, untilMs: 1_000, succeeded: true }, []],
    lost: [foreign, ['close-window']],
    'window-ended': [foreign, ['close-window', 'release']],
  },
};

for (const [state, row] of Object.entries(figure) as [Tenure['state'], (typeof figure)['foreign']][]) {
  for (const [event, expected] of Object.entries(row) as [TenureEvent['event'], (typeof row)['lost']][]) {
    const outcome = expected === error ? 'an error' : (expected[0] as Tenure).state;
    test(`${state}, ${event}: ${outcome}`, () => {
      const run = () => transition(tenures[state], events[event]);
      if (expected === error) assert.throws(run, TenureError);
      else assert.deepEqual(run(), expected);
    });
  }
}

test('what is given away again while it is being claimed is handed over if clients of before are still here', () => {
  const [back] = transition(tenures['handing-over'], events.assigned);
  assert.deepEqual(transition(back, events.assigned)[0], { state: 'claiming', generation: 4, epoch: 7 });
  assert.deepEqual(transition(back, events.unassigned), [
    { state: 'handing-over', epoch: 7, untilMs: 2_000, succeeded: false },
    ['open-window'],
  ]);
});

test('a walk of any length keeps one window open exactly while handing over, and claims whenever it is assigned anew', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...Object.values(events)), { maxLength: 100 }), walk => {
      let tenure: Tenure = { state: 'foreign' };
      let windows = 0;
      for (const event of walk) {
        let step: ReturnType<typeof transition>;
        try {
          step = transition(tenure, event);
        } catch (thrown) {
          assert.ok(thrown instanceof TenureError);
          continue;
        }
        const [after, effects] = step;
        for (const effect of effects) {
          if (effect === 'open-window') windows += 1;
          if (effect === 'close-window') windows -= 1;
        }
        assert.equal(windows, after.state === 'handing-over' ? 1 : 0);
        assert.equal(effects.includes('claim'), after.state === 'claiming');
        // Only a claim makes an owner, and only the group's word begins one.
        if (after.state === 'owned' && tenure.state !== 'owned') assert.equal(event.event, 'claimed');
        if (tenure.state === 'foreign') assert.equal(event.event, 'assigned');
        tenure = after;
      }
    }),
    { numRuns: Number(process.env.TEST_SCHEDULES ?? 1_000) },
  );
});
