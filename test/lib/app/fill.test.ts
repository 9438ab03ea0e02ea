import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Filled, fillShape, readFields, readRow, type Shape, type ShapeField } from '../../../lib/app/index.ts';
import { recordOf } from '../../support/records.ts';
import { compiled } from '../../support/schemas.ts';

const plan = compiled(`
  scalar DateTime
  scalar SafeInt
  scalar JSON
  enum Side { LEFT RIGHT }
  type Query { _: Boolean }
  type Subscription {
    all: All! @records(topic: "t")
    needy: Needy! @records(topic: "t")
    envelope: Envelope! @records(topic: "t")
    tree: Tree! @records(topic: "t")
    inherited: Inherited! @records(topic: "t")
    lists: Lists! @records(topic: "t")
  }
  type All {
    string: String id: ID boolean: Boolean int: Int float: Float safeInt: SafeInt at: DateTime json: JSON side: Side
    renamed: Int @from(field: "other name")
  }
  type Needy { a: Int! inner: Inner note: String }
  type Inner { b: String! c: Int }
  type Envelope {
    _key: ID _topic: String! _partition: Int! _offset: SafeInt! _timestamp: DateTime! _sequence: SafeInt _headers: JSON!
    owner: String @from(field: "_key") ms: SafeInt! @from(field: "_timestamp")
  }
  type Tree { left: Tree leaf: Int trees: [Tree!] }
  type Inherited { constructor: String toString: String hasOwnProperty: JSON }
  type Lists { ints: [Int] sure: [Int!] nested: [[Int!]!] things: [Inner!] sides: [Side!] }
  type Row @table(name: "rows", topics: ["t"], id: ["id", "side"], owner: "boss") @table(name: "own", topics: ["t"], id: ["id"]) {
    id: ID! side: Side! size: Int! note: String
  }
`);

function shape(field: string): Shape {
  const found = plan.streams.get(field)?.shape;
  assert.ok(found);
  return found;
}

const fill = (field: string, value: unknown): Filled => fillShape(shape(field), recordOf(value));

/** What one field of `All` becomes. */
function one(name: string, json: string): unknown {
  const filled = fill('all', `{"${name}": ${json}}`);
  return filled.ok ? filled.value[name] : filled.reason;
}

const accepted: readonly [string, string, unknown][] = [
  ['string', '"ü"', 'ü'],
  ['string', '""', ''],
  ['string', '"\\u0000"', '\0'],
  ['id', '"7"', '7'],
  ['id', '7', '7'],
  ['id', '-9007199254740991', '-9007199254740991'],
  ['boolean', 'false', false],
  ['int', '2147483647', 2147483647],
  ['int', '-2147483648', -2147483648],
  ['int', '1.0', 1],
  ['int', '1e3', 1000],
  ['float', '1.5', 1.5],
  ['float', '3', 3],
  ['safeInt', '9007199254740991', 9007199254740991],
  ['safeInt', '-9007199254740991', -9007199254740991],
  ['at', '"2026-07-31T12:00:00+02:00"', '2026-07-31T10:00:00.000Z'],
  ['at', '1785492000000', '2026-07-31T10:00:00.000Z'],
  ['json', '{"a":[1,{"b":null}]}', { a: [1, { b: null }] }],
  ['json', '"x"', 'x'],
  ['side', '"LEFT"', 'LEFT'],
  ['string', 'null', null],
  ['json', 'null', null],
];

for (const [name, json, expected] of accepted) {
  test(`a record's ${json} fits a field of type ${name}`, () => assert.deepEqual(one(name, json), expected));
}

const misfits: readonly [string, string, string][] = [
  ['string', '1', 'field string must be a string, but is an integer'],
  ['string', '{}', 'field string must be a string, but is an object'],
  ['id', '1.5', 'field id must be a string or an integer, but is a fractional number'],
  ['id', '9007199254740993', 'field id must be a string or an integer, but is a large integer'],
  ['id', 'true', 'field id must be a string or an integer, but is a boolean'],
  ['boolean', '0', 'field boolean must be a boolean, but is an integer'],
  ['boolean', '"true"', 'field boolean must be a boolean, but is a string'],
  ['int', '2147483648', 'field int must be a 32-bit integer, but is a large integer'],
  ['int', '1.5', 'field int must be a 32-bit integer, but is a fractional number'],
  ['int', '"1"', 'field int must be a 32-bit integer, but is a string'],
  ['float', '1e400', 'field float must be a finite number, but is a number out of range'],
  ['float', '"1.5"', 'field float must be a finite number, but is a string'],
  ['safeInt', '9007199254740992', 'field safeInt must be an integer within ±(2^53 − 1), but is a large integer'],
  ['safeInt', '9007199254740993', 'field safeInt must be an integer within ±(2^53 − 1), but is a large integer'],
  ['safeInt', '1e20', 'field safeInt must be an integer within ±(2^53 − 1), but is a large integer'],
  ['safeInt', '1.5', 'field safeInt must be an integer within ±(2^53 − 1), but is a fractional number'],
  ['safeInt', '"1"', 'field safeInt must be an integer within ±(2^53 − 1), but is a string'],
  ['at', '"today"', 'field at must be an RFC 3339 date-time or milliseconds since 1970, but is a string'],
  ['at', '1.5', 'field at must be an RFC 3339 date-time or milliseconds since 1970, but is a fractional number'],
  ['json', '[1e400]', 'field json holds a number out of range'],
  ['side', '"UP"', 'field side must be one of LEFT, RIGHT'],
  ['side', '"left"', 'field side must be one of LEFT, RIGHT'],
  ['side', '0', 'field side must be one of LEFT, RIGHT'],
];

for (const [name, json, reason] of misfits) {
  test(`a record's ${json} does not fit a field of type ${name}`, () => {
    assert.equal(one(name, json), reason);
  });
}

const notObjects: readonly [unknown, string][] = [
  [null, 'the record is a tombstone: it has no value'],
  ['', 'the value is not JSON'],
  ['{"a": 1', 'the value is not JSON'],
  ['\uFEFF{}', 'the value is not JSON'],
  [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'the value is not UTF-8'],
  ['null', 'the value is not a JSON object'],
  ['[]', 'the value is not a JSON object'],
  ['"text"', 'the value is not a JSON object'],
  ['5', 'the value is not a JSON object'],
];

for (const [value, reason] of notObjects) {
  test(`${Buffer.isBuffer(value) ? 'broken UTF-8' : JSON.stringify(value)} as a record's value fills nothing`, () => {
    assert.deepEqual(fill('all', value), { ok: false, reason });
    assert.deepEqual(readFields(shape('all'), recordOf(value)), { ok: false, reason });
  });
}

test('reasons never quote a value', () => {
  const secret = 'hunter2';
  for (const [field, value] of [
    ['all', { int: secret }],
    ['all', { side: secret }],
    ['all', { at: secret }],
    ['all', `{"string": ${secret}}`],
    ['lists', { ints: [secret] }],
  ] as const) {
    const filled = fill(field, value);
    assert.ok(!filled.ok && !filled.reason.includes(secret), JSON.stringify(filled));
  }
});

test('every field of the type is there, absent ones as null, and what the type has not is left out', () => {
  assert.deepEqual(fill('all', { int: 1, more: 2, 'other name': 3, renamed: 'not this one' }), {
    ok: true,
    value: {
      string: null,
      id: null,
      boolean: null,
      int: 1,
      float: null,
      safeInt: null,
      at: null,
      json: null,
      side: null,
      renamed: 3,
    },
  });
});

test('a non-null field must be there and not null, selected or not', () => {
  assert.deepEqual(fill('needy', {}), { ok: false, reason: 'field a is missing' });
  assert.deepEqual(fill('needy', { a: null }), { ok: false, reason: 'field a must not be null' });
  assert.deepEqual(fill('needy', { a: 1, inner: {} }), { ok: false, reason: 'field inner.b is missing' });
  assert.deepEqual(fill('needy', { a: 1, inner: [] }), {
    ok: false,
    reason: 'field inner must be an object, but is a list',
  });
  assert.deepEqual(fill('needy', { a: 1, inner: { b: 'x', c: '1' } }), {
    ok: false,
    reason: 'field inner.c must be a 32-bit integer, but is a string',
  });
  assert.deepEqual(fill('needy', { a: 1, inner: { b: 'x' } }), {
    ok: true,
    value: { a: 1, inner: { b: 'x', c: null }, note: null },
  });
});

test('lists hold nulls only where their type says so; a single value is no list', () => {
  const value = { ints: [1, null], sure: [], nested: [[1], []], things: [{ b: 'x' }], sides: ['LEFT'] };
  assert.deepEqual(fill('lists', value), { ok: true, value: { ...value, things: [{ b: 'x', c: null }] } });
  const reasons: readonly [object, string][] = [
    [{ ints: 1 }, 'field ints must be a list, but is an integer'],
    [{ ints: { 0: 1 } }, 'field ints must be a list, but is an object'],
    [{ sure: [1, null] }, 'field sure[1] must not be null'],
    [{ nested: [[1], null] }, 'field nested[1] must not be null'],
    [{ nested: [[1], [2, 'x']] }, 'field nested[1][1] must be a 32-bit integer, but is a string'],
    [{ things: [{ b: 'x' }, { c: 1 }] }, 'field things[1].b is missing'],
    [{ sides: ['UP'] }, 'field sides[0] must be one of LEFT, RIGHT'],
  ];
  for (const [bad, reason] of reasons) assert.deepEqual(fill('lists', bad), { ok: false, reason });
});

test('the envelope fills fields under its own names and through @from', () => {
  const record = recordOf(
    { _key: 'not this one' },
    {
      headers: { ce_keysequence: Buffer.from('17'), twice: [Buffer.from('a'), 'b'], gone: undefined },
    },
  );
  assert.deepEqual(fillShape(shape('envelope'), record), {
    ok: true,
    value: {
      _key: 'alice',
      _topic: 't',
      _partition: 3,
      _offset: 42,
      _timestamp: '2026-07-31T10:00:00.000Z',
      _sequence: 17,
      _headers: { ce_keysequence: '17', twice: ['a', 'b'] },
      owner: 'alice',
      ms: Date.parse('2026-07-31T10:00:00.000Z'),
    },
  });
});

test('a record without a key has a null key; a sequence that is none is null; a time beyond all dates is a misfit', () => {
  const filled = fillShape(shape('envelope'), recordOf({}, { key: null }));
  assert.ok(filled.ok);
  assert.deepEqual([filled.value._key, filled.value._sequence], [null, null]);
  for (const text of ['', '-1', '1.5', '01', '0x1', '9007199254740993', ' 1', 'one']) {
    const odd = fillShape(shape('envelope'), recordOf({}, { headers: { ce_keysequence: text } }));
    assert.ok(odd.ok);
    assert.equal(odd.value._sequence, null, text);
  }
  const late = fillShape(shape('envelope'), recordOf({}, { timestampMs: 9e15 }));
  assert.deepEqual(late, { ok: false, reason: 'field _timestamp is missing' });
});

test('of a sequence number that comes twice in the headers, the last one counts', () => {
  const headers = { ce_keysequence: [Buffer.from('1'), '2'] };
  const filled = fillShape(shape('envelope'), recordOf({}, { headers }));
  assert.ok(filled.ok);
  assert.equal(filled.value._sequence, 2);
});

test('what every object inherits is not taken for a field', () => {
  assert.deepEqual(fill('inherited', {}), {
    ok: true,
    value: { constructor: null, toString: null, hasOwnProperty: null },
  });
  assert.deepEqual(
    fill('inherited', '{"constructor": "c", "toString": "t", "hasOwnProperty": 1, "__proto__": {"x": 1}}'),
    {
      ok: true,
      value: { constructor: 'c', toString: 't', hasOwnProperty: 1 },
    },
  );
});

test('a type that contains itself is filled as deep as the record goes, within a bound', () => {
  assert.deepEqual(fill('tree', { left: { leaf: 1 }, trees: [{ left: null }] }), {
    ok: true,
    value: {
      left: { left: null, leaf: 1, trees: null },
      leaf: null,
      trees: [{ left: null, leaf: null, trees: null }],
    },
  });
  const deep = (levels: number): string => `${'{"left":'.repeat(levels)}{}${'}'.repeat(levels)}`;
  assert.ok(fill('tree', deep(99)).ok);
  const tooDeep = fill('tree', deep(100_000));
  assert.ok(!tooDeep.ok && tooDeep.reason.endsWith('is nested deeper than 100'));
  const json = fill('all', `{"json": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`);
  assert.deepEqual(json, { ok: false, reason: 'field json is nested deeper than 100' });
});

test('for a table, only the fields that are there are read, and they must fit', () => {
  const row = plan.tables.get('rows')?.shape;
  assert.ok(row);
  assert.deepEqual(readFields(row, recordOf({})), { ok: true, value: {} });
  assert.deepEqual(readFields(row, recordOf({ size: 5, note: null, more: 1 })), {
    ok: true,
    value: { size: 5, note: null },
  });
  assert.deepEqual(readFields(row, recordOf({ size: null })), { ok: false, reason: 'field size must not be null' });
  assert.deepEqual(readFields(row, recordOf({ id: 'a', size: 'x' })), {
    ok: false,
    reason: 'field size must be a 32-bit integer, but is a string',
  });
});

test('a row has its id when all fields of it are there, and the owner that the table names', () => {
  const rows = plan.tables.get('rows');
  const own = plan.tables.get('own');
  assert.ok(rows && own);
  assert.deepEqual(readRow(rows, recordOf({ id: 1, side: 'LEFT', boss: 'bob' })), {
    ok: true,
    fields: { id: '1', side: 'LEFT' },
    hasId: true,
    owner: 'bob',
  });
  assert.deepEqual(readRow(rows, recordOf({ id: 1, boss: 7 })), {
    ok: true,
    fields: { id: '1' },
    hasId: false,
    owner: '7',
  });
  const owners: readonly [object, unknown][] = [
    [{}, undefined],
    [{ boss: null }, null],
  ];
  for (const [value, owner] of owners) {
    const reading = readRow(rows, recordOf(value));
    assert.ok(reading.ok);
    assert.equal(reading.owner, owner);
  }
  assert.deepEqual(readRow(rows, recordOf({ boss: {} })), {
    ok: false,
    reason: 'field boss is the owner and must be a string or an integer',
  });
  assert.deepEqual(readRow(own, recordOf({ id: 'x', boss: {} })), {
    ok: true,
    fields: { id: 'x' },
    hasId: true,
    owner: 'alice',
  });
  const keyless = readRow(own, recordOf({ id: 'x' }, { key: null }));
  assert.ok(keyless.ok && keyless.owner === undefined);
  assert.deepEqual(readRow(own, recordOf('[]')), { ok: false, reason: 'the value is not a JSON object' });
});

/** Pairs of what a record holds and what comes of it, by kind; and what does not fit. */
const kinds: readonly { field: Pick<ShapeField, 'value'>; good: fc.Arbitrary<unknown>; bad: fc.Arbitrary<unknown> }[] =
  [
    {
      field: { value: { kind: 'String' } },
      good: fc.string({ unit: 'grapheme' }),
      bad: fc.oneof(fc.integer(), fc.boolean(), fc.constant([])),
    },
    { field: { value: { kind: 'Boolean' } }, good: fc.boolean(), bad: fc.oneof(fc.integer(), fc.string()) },
    {
      field: { value: { kind: 'Int' } },
      good: fc.integer(),
      bad: fc.oneof(fc.integer({ min: 2 ** 31, max: 2 ** 40 }), fc.string()),
    },
    {
      field: { value: { kind: 'SafeInt' } },
      good: fc.maxSafeInteger(),
      bad: fc.oneof(fc.double({ noInteger: true, noNaN: true, noDefaultInfinity: true }), fc.string()),
    },
    {
      field: { value: { kind: 'Float' } },
      good: fc.double({ noNaN: true, noDefaultInfinity: true }).map(value => value + 0),
      bad: fc.oneof(fc.string(), fc.boolean()),
    },
    {
      field: { value: { kind: 'enum', values: ['A', 'B'] } },
      good: fc.constantFrom('A', 'B'),
      bad: fc.constantFrom('C', 'a', 1),
    },
    {
      field: { value: { kind: 'JSON' } },
      good: fc.jsonValue({ maxDepth: 3 }).filter(value => value !== null),
      bad: fc.constant('never asked for'),
    },
    {
      field: { value: { kind: 'list', of: { kind: 'Int' }, nonNull: true } },
      good: fc.array(fc.integer()),
      bad: fc.oneof(fc.constant([null]), fc.constant(['x']), fc.integer()),
    },
  ].map(kind => kind as (typeof kinds)[number]);

const nothing = { present: false } as const;
const fieldCase = fc.nat({ max: kinds.length - 1 }).chain(index => {
  const kind = kinds[index];
  assert.ok(kind);
  const hasBad = kind.field.value.kind !== 'JSON';
  const content = fc.oneof(
    { weight: 8, arbitrary: kind.good.map(raw => ({ present: true, raw, fits: true }) as const) },
    { weight: 1, arbitrary: fc.constant({ present: true, raw: null, fits: true } as const) },
    { weight: 1, arbitrary: fc.constant(nothing) },
    ...(hasBad ? [{ weight: 1, arbitrary: kind.bad.map(raw => ({ present: true, raw, fits: false }) as const) }] : []),
  );
  return fc.record({ value: fc.constant(kind.field.value), nonNull: fc.boolean(), content });
});

test('any record: filled exactly when all non-null fields are there and all that are there fit; read likewise', () => {
  fc.assert(
    fc.property(fc.array(fieldCase, { maxLength: 8 }), cases => {
      const fields = cases.map(({ value, nonNull }, index) => ({
        ...{ name: `f${index}`, source: `s${index}`, envelope: false, anyOf: [] },
        ...{ value, nonNull },
      }));
      const there = cases.flatMap(({ content }, index) => (content.present ? [[index, content.raw] as const] : []));
      const record = recordOf(Object.fromEntries(there.map(([index, raw]) => [`s${index}`, raw])));
      const missing = cases.some(({ nonNull, content }) => nonNull && !content.present);
      const wrong = cases.some(
        ({ nonNull, content }) => content.present && (!content.fits || (nonNull && content.raw === null)),
      );

      const filled = fillShape({ typeName: 'T', fields }, record);
      assert.equal(filled.ok, !missing && !wrong);
      if (filled.ok) {
        const expected = Object.fromEntries(there.map(([index, raw]) => [`f${index}`, raw]));
        const nulls = Object.fromEntries(fields.map(({ name }) => [name, null]));
        assert.deepEqual(filled.value, JSON.parse(JSON.stringify({ ...nulls, ...expected })));
      }
      const read = readFields({ typeName: 'T', fields }, record);
      assert.equal(read.ok, !wrong);
      if (read.ok)
        assert.deepEqual(
          Object.keys(read.value),
          there.map(([index]) => `f${index}`),
        );
    }),
    { numRuns: 500 },
  );
});
