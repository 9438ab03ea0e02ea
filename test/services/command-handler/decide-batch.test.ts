import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { type AppPlan, type Command, type CommandApp, loadApp } from '../../../lib/app/index.ts';
import { type Batch, sizeOfBatch, splitBatch } from '../../../services/command-handler/batch.ts';
import {
  type DecidedBatch,
  type Deciding,
  decideBatch,
  nameOf,
} from '../../../services/command-handler/decide-batch.ts';
import type { CommandIntake } from '../../../services/command-handler/types.ts';

let plan: AppPlan;
before(async () => {
  plan = await loadApp('apps/bank');
});

/** Counts; each command adds one to the state, tells `targets` about it, and may be made to throw. */
const counting: Pick<CommandApp<{ count: number }, number>, 'decide' | 'reject'> = {
  decide(state, command) {
    if (command.arguments.fail === true) throw new Error('no');
    state.count++;
    const targets = (command.arguments.targets ?? []) as string[];
    return {
      feedback: { commandId: command.id, count: state.count },
      verdict: 'accepted',
      changes: [state.count],
      events: targets.map(key => ({
        topic: 'balance_changed',
        key,
        value: { by: command.id, pad: command.arguments.pad },
      })),
    };
  },
  reject: (commandId, reason) => ({ commandId, reason }),
};

function intake(id: string, userKey = 'alice', args: Command['arguments'] = {}, refusal?: string): CommandIntake {
  return {
    kind: 'command',
    at: { topic: 'commands', partition: 0, offset: 0 },
    timestampMs: 7,
    sizeBytes: 1,
    command: { id, type: 'count', userKey, arguments: args, timeMs: 7 },
    feedbackTopic: 'feedback',
    traceparent: undefined,
    refusal,
  };
}

function decide(intakes: readonly CommandIntake[], more: Partial<Deciding<{ count: number }, number>> = {}) {
  let ids = 0;
  return decideBatch(intakes, {
    ...{ app: counting, plan, state: { count: 0 }, decided: new Set(), refused: new Map(), nowMs: 1 },
    ...{ partitionOf: (key: string) => key.length, uuid: () => `id-${ids++}`, maxValueBytes: 1_000 },
    ...more,
  });
}

function decided(answer: ReturnType<typeof decide>): DecidedBatch<number> {
  assert.ok('rows' in answer);
  return answer;
}

test('rows are numbered key by key in the order of decisions, events before the verdict on them', () => {
  const { rows, counts } = decided(
    decide([intake('a', 'alice', { targets: ['bob', 'alice'] }), intake('b', 'bob', { targets: ['alice'] })]),
  );
  assert.deepEqual(
    rows.map(({ key, nth, topic, partition }) => `${key} ${nth} ${topic} ${partition}`),
    [
      'bob 1 balance_changed 3',
      'alice 1 balance_changed 5',
      'alice 2 feedback 5',
      'alice 3 balance_changed 5',
      'bob 2 feedback 3',
    ],
  );
  assert.deepEqual(
    [...counts],
    [
      ['bob', 2],
      ['alice', 3],
    ],
  );
  assert.equal(new Set(rows.map(({ eventId }) => eventId)).size, rows.length);
});

test('only feedback names its command and carries the time of its append', () => {
  const { rows } = decided(decide([intake('a', 'alice', { targets: ['bob'] })]));
  assert.deepEqual(
    rows.map(({ commandId, appendedMs }) => [commandId, appendedMs]),
    [
      [undefined, undefined],
      ['a', 7],
    ],
  );
});

test('a command that has a verdict, or comes twice, is repeated and not decided; the same id of another user is', () => {
  const twice = [intake('a'), intake('a', 'alice', { targets: ['bob'] }), intake('a', 'bob'), intake('old')];
  const batch = decided(decide(twice, { decided: new Set([nameOf('alice', 'old')]) }));
  assert.deepEqual(
    batch.outcomes.map(({ verdict }) => verdict),
    ['accepted', 'repeated', 'accepted', 'repeated'],
  );
  assert.deepEqual(batch.repeats, [
    { key: 'alice', commandId: 'a' },
    { key: 'alice', commandId: 'old' },
  ]);
  assert.deepEqual(batch.changes, [1, 2]);
});

test('a refused command is answered by the app and decided by nobody', () => {
  const batch = decided(decide([intake('a', 'alice', { fail: true }, 'argument x is missing'), intake('b')]));
  assert.deepEqual(
    batch.rows.map(({ value }) => JSON.parse(value)),
    [
      { commandId: 'a', reason: 'argument x is missing' },
      { commandId: 'b', count: 1 },
    ],
  );
  assert.deepEqual(
    batch.outcomes.map(({ verdict }) => verdict),
    ['rejected', 'accepted'],
  );
});

test('a decision that throws asks for the batch to be decided again without it', () => {
  const intakes = [intake('a'), intake('b', 'alice', { fail: true }), intake('c')];
  const answer = decide(intakes);
  assert.ok('reason' in answer);
  assert.deepEqual(
    [answer.key, answer.commandId, answer.reason, String(answer.cause)],
    ['alice', 'b', 'internal error', 'Error: no'],
  );
  const again = decided(decide(intakes, { refused: new Map([[nameOf('alice', 'b'), 'internal error']]) }));
  assert.deepEqual(
    again.rows.map(({ value }) => JSON.parse(value).reason ?? 'fine'),
    ['fine', 'internal error', 'fine'],
  );
});

test('a decision with an event that could never be published is refused', () => {
  for (const target of ['', 'a\u0000b', 'x'.repeat(2_000)]) {
    const answer = decide([intake('a', 'alice', { targets: [target] })]);
    assert.ok('reason' in answer && answer.reason === 'internal error', JSON.stringify(target));
  }
  const decideElsewhere: typeof counting.decide = (state, command, context) => ({
    ...counting.decide(state, command, context),
    events: [{ topic: 'nowhere', key: 'bob', value: {} }],
  });
  const answer = decide([intake('a')], { app: { ...counting, decide: decideElsewhere } });
  assert.ok('reason' in answer && /nowhere/.test(String(answer.cause)));
});

test('a decision with a value that no record can hold is refused as too large, counted in bytes', () => {
  const answer = decide([intake('a', 'alice', { targets: ['bob'], pad: 'é'.repeat(600) })]);
  assert.ok('reason' in answer && answer.reason === 'too large');
  decided(decide([intake('a', 'alice', { targets: ['bob'], pad: 'e'.repeat(600) })]));
});

test('halves of a batch move the positions as the whole would, until single records are left', () => {
  const slice = fc.record({
    partition: fc.nat(5),
    gaps: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
  });
  fc.assert(
    fc.property(fc.uniqueArray(slice, { selector: each => each.partition, minLength: 1, maxLength: 4 }), slices => {
      const batch: Batch = slices.map(({ partition, gaps }) => {
        let offset = 10;
        const intakes = gaps.map(gap => ({
          ...intake('x'),
          at: { topic: 'commands', partition, offset: (offset += gap) },
        }));
        return { topic: 'commands', partition, epoch: 3, fromOffset: 10, toOffset: offset + 2, intakes };
      });
      const singles = flatten(batch);
      assert.ok(singles.every(single => sizeOfBatch(single) === 1));
      for (const { partition, fromOffset, toOffset, intakes } of batch) {
        const own = singles.flat().filter(each => each.partition === partition);
        assert.deepEqual(
          own.flatMap(each => each.intakes),
          intakes,
        );
        let position = fromOffset;
        for (const each of own) {
          assert.equal(each.fromOffset, position);
          position = each.toOffset;
        }
        assert.equal(position, toOffset);
      }
    }),
  );

  function flatten(batch: Batch): Batch[] {
    const halves = splitBatch(batch);
    return halves === undefined ? [batch] : halves.flatMap(flatten);
  }
});
