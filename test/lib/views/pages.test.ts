import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { type AppPlan, compileApp, type ViewPlan } from '../../../lib/app/index.ts';
import { PenstockError } from '../../../lib/errors.ts';
import { openViews, type Views } from '../../../lib/views/index.ts';
import { formatPageCursor, parsePageCursor } from '../../../lib/views/page.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { inSnapshot, openViewTable, recordOf, type ViewTable } from '../../support/view-table.ts';

const schema = `
  type Query {
    things(first: Int, after: String, last: Int, before: String, even: Boolean): ThingConnection! @view(table: "thing")
  }
  type Thing @table(name: "thing", topics: ["things"], id: ["n"]) { n: Int! even: Boolean! }
  type ThingConnection { edges: [ThingEdge!]! pageInfo: PageInfo! }
  type ThingEdge { cursor: String! node: Thing! }
  type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }`;

interface Page {
  edges: { cursor: string; node: { n: number } }[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
}

let postgres: ScratchPostgres;
let view: ViewPlan;
let views: Views;
let table: ViewTable;

before(async () => {
  postgres = await scratchPostgres();
  const plan: AppPlan = compileApp({ name: 'pages.graphql', body: schema });
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

async function page(args: Record<string, unknown>): Promise<Page> {
  const caller = { userKey: 'somebody', everyRow: false };
  return (await inSnapshot(views, snapshot => snapshot.read(view, args, caller))) as Page;
}

const numbers = ({ edges }: Page): number[] => edges.map(({ node }) => node.n);

/** Things 0 … count − 1, in the order of their numbers; several share a timestamp, some a partition. */
async function fill(count: number, from = 0): Promise<void> {
  if (from === 0) await postgres.query(`DELETE FROM ${table.version.layout.relation}`);
  const records = [...Array(count).keys()].map(index => {
    const n = from + index;
    return recordOf(
      { n, even: n % 2 === 0 },
      { timestampMs: Math.floor(n / 5), partition: Math.floor((n % 5) / 2), offset: n },
    );
  });
  await table.feed(records);
}

test('rows are read up to a number of bytes, then the query is refused and the connection goes on', async () => {
  await fill(40);
  const few = openViews(
    { url: postgres.url, poolSize: 1 },
    compileApp({ name: 'p.graphql', body: schema }),
    quietOps(),
    3_000,
  );
  const caller = { userKey: 'somebody', everyRow: false };
  const read = (first: number) => inSnapshot(few, snapshot => snapshot.read(view, { first }, caller));
  const refused = { code: 'LIMIT_EXCEEDED', extensions: { limit: 'PENSTOCK_GATEWAY_MAX_RESPONSE_BYTES' } };
  await assert.rejects(read(40), refused);
  assert.equal(((await read(5)) as Page).edges.length, 5);
  await assert.rejects(
    inSnapshot(few, async snapshot => {
      for (;;) await snapshot.read(view, { first: 5 }, caller);
    }),
    refused,
  );
  await few.close();
});

test('pages follow each other without a gap or a repeat, newest first, forward and backward', async () => {
  await fill(23);
  const all = [...Array(23).keys()].reverse();
  for (const first of [1, 4, 23, 1000]) {
    const seen: number[] = [];
    for (let after: string | null = null, more = true; more; ) {
      const found: Page = await page({ first, after });
      seen.push(...numbers(found));
      assert.equal(found.pageInfo.endCursor, found.edges.at(-1)?.cursor);
      after = found.pageInfo.endCursor;
      more = found.pageInfo.hasNextPage;
    }
    assert.deepEqual(seen, all);
  }
  const seen: number[] = [];
  for (let before: string | null = null, more = true; more; ) {
    const found: Page = await page({ last: 5, before });
    seen.unshift(...numbers(found));
    before = found.pageInfo.startCursor;
    more = found.pageInfo.hasPreviousPage;
  }
  assert.deepEqual(seen, all);
});

test('rows that come in between move no page: the next one goes on where the last one ended', async () => {
  await fill(20);
  const first = await page({ first: 7 });
  await fill(9, 20);
  const second = await page({ first: 7, after: first.pageInfo.endCursor });
  assert.deepEqual(numbers(second), [12, 11, 10, 9, 8, 7, 6]);
  assert.equal(second.pageInfo.hasPreviousPage, true);
  const newer = await page({ last: 100, before: first.pageInfo.startCursor });
  assert.deepEqual(numbers(newer), [28, 27, 26, 25, 24, 23, 22, 21, 20]);
  assert.deepEqual(numbers(await page({ first: 3, after: first.pageInfo.endCursor, even: true })), [12, 10, 8]);
});

test('every combination of first, after, last and before gives what the Relay specification says', async () => {
  await fill(9);
  const all = await page({ first: 100 });
  const cursors = all.edges.map(({ cursor }) => cursor);
  const size = fc.option(fc.nat({ max: 10 }), { freq: 3, nil: null });
  const index = fc.option(fc.nat({ max: 8 }), { freq: 3, nil: null });
  await fc.assert(
    fc.asyncProperty(size, index, size, index, async (first, after, last, before) => {
      const found = await page({
        ...{ first, last },
        after: after === null ? null : cursors[after],
        before: before === null ? null : cursors[before],
      });
      const from = after === null ? 0 : after + 1;
      const to = Math.max(from, before === null ? 9 : before);
      const [start, end] = relay(from, to, first ?? (last === null ? 50 : null), last);
      assert.deepEqual(numbers(found), numbers(all).slice(start, end));
      assert.equal(found.pageInfo.hasNextPage, end < to || before !== null, 'hasNextPage');
      assert.equal(found.pageInfo.hasPreviousPage, start > from || after !== null, 'hasPreviousPage');
    }),
    { numRuns: 300 },
  );
});

/** EdgesToReturn, on indices. */
function relay(from: number, to: number, first: number | null, last: number | null): [number, number] {
  const end = first === null ? to : Math.min(to, from + first);
  return [last === null ? from : Math.max(from, end - last), end];
}

test('sizes and cursors that make no sense are the caller’s mistake', async () => {
  for (const args of [
    { first: -1 },
    { first: 1001 },
    { last: 1001 },
    { after: 'x' },
    { before: '' },
    { after: 'MTow' },
  ]) {
    await assert.rejects(
      page(args),
      (error: unknown) => error instanceof PenstockError && error.code === 'BAD_USER_INPUT',
    );
  }
});

test('a page cursor is read back as it was written, and nothing else is one', () => {
  const place = fc.record(
    { timestampMs: fc.maxSafeInteger(), partition: fc.nat(), offset: fc.maxSafeNat(), topic: fc.nat({ max: 9 }) },
    { noNullPrototype: true },
  );
  fc.assert(fc.property(place, at => assert.deepEqual(parsePageCursor(formatPageCursor(at)), at)));
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String()), text => {
      const parsed = parsePageCursor(text);
      if (parsed) assert.equal(formatPageCursor(parsed), text);
    }),
  );
});
