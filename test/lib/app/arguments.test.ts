import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalArguments, commandTypes, loadApp, validateArguments } from '../../../lib/app/index.ts';
import { compiled } from '../../support/schemas.ts';

const plan = compiled(`
  scalar Cents @scalar(as: "SafeInt")
  scalar DateTime
  scalar JSON
  enum Kind { SLOW FAST }
  input Part { name: String! count: Int = 1 }
  type Query { _: Boolean }
  type Done { ok: Boolean! }
  type Mutation {
    pay(commandId: ID, amount: Cents!, to: ID!, at: DateTime, kind: Kind! = SLOW, parts: [Part!], note: String = "none", extra: JSON): Done
      @command(topic: "c", type: "pay", feedback: "f")
    stop: Done @command(topic: "d", type: "stop", feedback: "f")
  }
  type Subscription {
    pay(commandId: ID, amount: Cents!, to: ID!, at: DateTime, kind: Kind! = SLOW, parts: [Part!], note: String = "none", extra: JSON): Done
      @command(topic: "c", type: "pay", feedback: "f")
    halt: Done @command(topic: "c", type: "halt", feedback: "f")
  }
`);

const pay = plan.commands.get('Mutation.pay');
assert.ok(pay);
const check = (json: unknown) => validateArguments(plan, pay, json);

test('commands are found by topic and type; fields that share both are one', () => {
  const types = commandTypes(plan);
  assert.deepEqual(
    [...types].map(([topic, byType]) => [
      topic,
      [...byType].map(([type, { parent, field }]) => `${type}: ${parent}.${field}`),
    ]),
    [
      ['c', ['pay: Mutation.pay', 'halt: Subscription.halt']],
      ['d', ['stop: Mutation.stop']],
    ],
  );
});

test("a command record's arguments are checked and coerced like a request's", () => {
  const json = {
    commandId: 7,
    amount: -5,
    to: 'x',
    at: '2026-07-31T12:00:00+02:00',
    kind: 'FAST',
    parts: [{ name: 'a' }, { name: 'b', count: null }],
    note: null,
    extra: { any: [1] },
  };
  assert.equal(
    JSON.stringify(check(json)),
    JSON.stringify({
      ok: true,
      arguments: {
        ...json,
        commandId: '7',
        at: '2026-07-31T10:00:00.000Z',
        parts: [
          { name: 'a', count: 1 },
          { name: 'b', count: null },
        ],
      },
    }),
  );
});

test('absent arguments get their defaults; members that are no arguments are left out', () => {
  const checked = check({ amount: 1, to: 'x', more: true, constructor: 1 });
  assert.deepEqual(checked, { ok: true, arguments: { amount: 1, to: 'x', kind: 'SLOW', note: 'none' } });
});

const refused: readonly [unknown, string][] = [
  [undefined, 'the arguments are not a JSON object'],
  [null, 'the arguments are not a JSON object'],
  [[], 'the arguments are not a JSON object'],
  ['x', 'the arguments are not a JSON object'],
  [{}, 'argument amount is missing'],
  [{ to: 'x' }, 'argument amount is missing'],
  [{ amount: 1 }, 'argument to is missing'],
  [{ amount: null, to: 'x' }, 'argument amount does not fit its type Cents!'],
  [{ amount: 1.5, to: 'x' }, 'argument amount does not fit its type Cents!'],
  [{ amount: '1', to: 'x' }, 'argument amount does not fit its type Cents!'],
  [{ amount: 1e20, to: 'x' }, 'argument amount does not fit its type Cents!'],
  [{ amount: 1, to: {} }, 'argument to does not fit its type ID!'],
  [{ amount: 1, to: 'x', at: 'now' }, 'argument at does not fit its type DateTime'],
  [{ amount: 1, to: 'x', kind: 'fast' }, 'argument kind does not fit its type Kind!'],
  [{ amount: 1, to: 'x', kind: null }, 'argument kind does not fit its type Kind!'],
  [{ amount: 1, to: 'x', parts: [{}] }, 'argument parts does not fit its type [Part!]'],
  [{ amount: 1, to: 'x', parts: [{ name: 'a', other: 1 }] }, 'argument parts does not fit its type [Part!]'],
  [{ amount: 1, to: 'x', note: 5 }, 'argument note does not fit its type String'],
  [{ amount: 1, to: 'x', commandId: 1.5 }, 'argument commandId does not fit its type ID'],
];

for (const [json, reason] of refused) {
  test(`a poison command is told why: ${JSON.stringify(json)}`, () =>
    assert.deepEqual(check(json), { ok: false, reason }));
}

test('no JSON makes the check throw', () => {
  const values = fc.record(
    { amount: fc.jsonValue(), to: fc.jsonValue(), parts: fc.jsonValue(), extra: fc.jsonValue() },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(values, fc.jsonValue()), json => {
      const checked = check(json);
      if (checked.ok) assert.ok(Number.isSafeInteger(checked.arguments.amount));
    }),
  );
});

test('every command of the second app can be checked', async () => {
  const fleet = await loadApp('examples/fleet');
  for (const command of fleet.commands.values()) {
    assert.ok(validateArguments(fleet, command, { vehicle: 'v1', stops: [{ lat: 1, lon: 2.5 }] }).ok);
    assert.ok(!validateArguments(fleet, command, { vehicle: 'v1', stops: [{ lat: 1 }] }).ok);
  }
});

test('arguments in another order, and nulls, are the same arguments', () => {
  const same = [
    { a: 1, b: ['x', { c: 1, d: 2 }] },
    { b: ['x', { d: 2, c: 1 }], a: 1 },
    { a: 1, z: null, b: ['x', { c: 1, e: undefined, d: 2 }] },
  ];
  assert.equal(new Set(same.map(args => canonicalArguments('f', args))).size, 1);
});

test('other arguments, or the same for another field, are others', () => {
  const texts = [
    canonicalArguments('f', {}),
    canonicalArguments('g', {}),
    canonicalArguments('f', { a: 1 }),
    canonicalArguments('f', { a: '1' }),
    canonicalArguments('f', { a: [1] }),
    canonicalArguments('f', { a: [1, null] }),
    canonicalArguments('f', { a: { b: 1 } }),
    canonicalArguments('f', { a: [['b', 1]] }),
    canonicalArguments('f', { b: 1 }),
    canonicalArguments('f', { a: 1, b: 1 }),
  ];
  assert.equal(new Set(texts).size, texts.length);
});

test('two sets of arguments have one canonical text exactly when they are equal', () => {
  const args = fc.dictionary(
    fc.constantFrom('a', 'b', '1', '10'),
    fc.oneof(fc.integer({ min: 0, max: 2 }), fc.array(fc.constantFrom('x', 'y'), { maxLength: 2 })),
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(args, args, (one, two) => {
      let equal = true;
      try {
        assert.deepEqual(one, two);
      } catch {
        equal = false;
      }
      assert.equal(canonicalArguments('f', one) === canonicalArguments('f', two), equal);
    }),
    { numRuns: 1_000 },
  );
});
