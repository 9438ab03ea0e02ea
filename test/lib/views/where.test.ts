import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import {
  type AppPlan,
  compileApp,
  compilePredicate,
  fillShape,
  type Op,
  type ViewPlan,
} from '../../../lib/app/index.ts';
import type { KafkaRecord } from '../../../lib/kafka/index.ts';
import { openViews, type Views } from '../../../lib/views/index.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { inSnapshot, openViewTable, recordOf, type ViewTable } from '../../support/view-table.ts';

/** Type of each field of a Thing, and the operators that the schema language has for it. */
const ordered: readonly Op[] = ['EQ', 'NE', 'LT', 'LTE', 'GT', 'GTE', 'IN'];
const fields: Readonly<Record<string, { type: string; ops: readonly Op[] }>> = {
  text: { type: 'String', ops: [...ordered, 'CONTAINS'] },
  code: { type: 'ID', ops: [...ordered, 'CONTAINS'] },
  color: { type: 'Color', ops: ['EQ', 'NE', 'IN'] },
  flag: { type: 'Boolean', ops: ['EQ', 'NE'] },
  small: { type: 'Int', ops: ordered },
  large: { type: 'SafeInt', ops: ordered },
  real: { type: 'Float', ops: ordered },
  time: { type: 'DateTime', ops: ordered },
  _key: { type: 'String', ops: [...ordered, 'CONTAINS'] },
  _topic: { type: 'String', ops: ordered },
  _offset: { type: 'SafeInt', ops: ordered },
  _timestamp: { type: 'DateTime', ops: ordered },
  _sequence: { type: 'SafeInt', ops: ordered },
};

const args = Object.entries(fields).flatMap(([field, { type, ops }]) =>
  ops.map(op => ({ name: `${field}_${op}`, field, op, type: op === 'IN' ? `[${type}]` : type })),
);
const schema = `
  scalar SafeInt
  scalar DateTime
  enum Color { RED GREEN BLUE }
  type Query {
    things(${args.map(({ name, field, op, type }) => `${name}: ${type} @where(field: "${field}", op: ${op})`).join(' ')}): [Thing!]!
      @view(table: "thing") @requiresRole(anyOf: ["all"])
  }
  type Thing @table(name: "thing", topics: ["things", "others"], id: ["n"]) {
    n: Int!
    ${Object.entries(fields)
      .map(([name, { type }]) => `${name}: ${type}`)
      .join('\n')}
  }`;

const strings = fc.oneof(
  fc.constantFrom('', 'a', 'A', 'ab', '%', '_', '\\', "'", '\u{1f600}', '\uffee', 'é', 'e\u0301', ' '),
  fc.string({ unit: 'grapheme', maxLength: 4 }).filter(text => !text.includes('\0')),
);
const dates = fc.constantFrom(
  '2026-07-31T10:00:00.000Z',
  '2026-07-31T10:00:00.001Z',
  '2026-07-31T09:59:59.999Z',
  '0001-01-01T00:00:00.000Z',
  '9999-12-31T23:59:59.999Z',
);
const numbers = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(2 ** 31 - 1, -(2 ** 31)));
const safe = fc.oneof(numbers, fc.constantFrom(Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER));
const reals = fc.oneof(numbers, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0.1, -0, 1e300));
const values: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  String: strings,
  ID: strings,
  Color: fc.constantFrom('RED', 'GREEN', 'BLUE'),
  Boolean: fc.boolean(),
  Int: numbers,
  SafeInt: safe,
  Float: reals,
  DateTime: dates,
};
const arbitraryOf = (type: string): fc.Arbitrary<unknown> => values[type] ?? fc.constant(null);
const maybe = (value: fc.Arbitrary<unknown>) => fc.option(value, { freq: 5 });

const thing = fc.record({
  body: fc.record(
    Object.fromEntries(
      Object.entries(fields)
        .filter(([name]) => !name.startsWith('_'))
        .map(([name, { type }]) => [name, maybe(arbitraryOf(type))]),
    ),
  ),
  key: fc.option(strings, { freq: 5 }),
  topic: fc.constantFrom('things', 'others'),
  offset: fc.nat({ max: 5 }),
  // Producers may write any time; some are no DateTime.
  timestampMs: fc.oneof(dates.map(Date.parse), fc.constantFrom(-1, 0, 8_640_000_000_000_001, 253402300800000)),
  sequence: fc.option(fc.nat({ max: 3 })),
});

function recordsOf(drafts: readonly (typeof thing extends fc.Arbitrary<infer T> ? T : never)[]): KafkaRecord[] {
  return drafts.map(({ body, key, topic, offset, timestampMs, sequence }, n) =>
    recordOf(
      { n, ...body },
      {
        ...{ topic, timestampMs, partition: n, offset },
        key: key === null ? null : Buffer.from(key),
        headers: sequence === null ? {} : { ce_keysequence: String(sequence) },
      },
    ),
  );
}

let postgres: ScratchPostgres;
let plan: AppPlan;
let view: ViewPlan;
let views: Views;
let table: ViewTable;

before(async () => {
  postgres = await scratchPostgres();
  plan = compileApp({ name: 'where.graphql', body: schema });
  const found = plan.views.get('things');
  assert.ok(found);
  view = found;
  views = openViews({ url: postgres.url, poolSize: 1 }, plan, quietOps('views'));
  table = await openViewTable(postgres.url, plan, 'thing');
});
after(async () => {
  await views.close();
  await table.close();
  await postgres.drop();
});

async function numbersInSql(given: Readonly<Record<string, unknown>>): Promise<number[]> {
  const rows = await inSnapshot(views, snapshot => snapshot.read(view, given, { userKey: '', everyRow: true }));
  return (rows as { n: number }[]).map(({ n }) => n).sort((a, b) => a - b);
}

function numbersInStream(records: readonly KafkaRecord[], given: Readonly<Record<string, unknown>>): number[] {
  const predicate = compilePredicate(view.filters, given) ?? (() => true);
  return records.flatMap((record, n) => {
    const filled = fillShape(view.shape, record);
    assert.ok(filled.ok);
    return predicate(filled.value) ? [n] : [];
  });
}

test('a filter finds the same rows in a view as it lets through in a stream', async () => {
  const filter = fc.constantFrom(...args).chain(({ name, op, field }) => {
    const value = arbitraryOf(fields[field]?.type ?? '');
    return fc.tuple(fc.constant(name), op === 'IN' ? fc.array(maybe(value), { maxLength: 3 }) : maybe(value));
  });
  let matched = 0;
  for (let batch = 0; batch < 6; batch++) {
    const [drafts = []] = fc.sample(fc.array(thing, { minLength: 60, maxLength: 60 }), {
      numRuns: 1,
      seed: 4_711 + batch,
    });
    const records = recordsOf(drafts);
    await postgres.query(`DELETE FROM ${table.version.layout.relation}`);
    await table.feed(records);
    await fc.assert(
      fc.asyncProperty(fc.array(filter, { minLength: 1, maxLength: 2 }), async chosen => {
        const given = Object.fromEntries(chosen);
        const expected = numbersInStream(records, given);
        if (expected.length > 0 && expected.length < records.length) matched++;
        assert.deepEqual(await numbersInSql(given), expected);
      }),
      { numRuns: 70 },
    );
  }
  assert.ok(matched > 100, `only ${matched} filters told rows apart`);
});

test('a view gives back what the records held', async () => {
  const [drafts = []] = fc.sample(fc.array(thing, { minLength: 100, maxLength: 100 }), { numRuns: 1, seed: 99 });
  const records = recordsOf(drafts);
  await postgres.query(`DELETE FROM ${table.version.layout.relation}`);
  await table.feed(records);
  const rows = await inSnapshot(views, snapshot => snapshot.read(view, {}, { userKey: '', everyRow: true }));
  const byNumber = (rows as { n: number }[]).toSorted((a, b) => a.n - b.n);
  const expected = records.map(record => {
    const filled = fillShape(view.shape, record);
    return filled.ok ? filled.value : undefined;
  });
  // GraphQL writes both zeros the same.
  assert.equal(JSON.stringify(byNumber), JSON.stringify(expected));
});
