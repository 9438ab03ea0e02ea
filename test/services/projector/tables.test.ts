import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { type AppPlan, compileApp } from '../../../lib/app/index.ts';
import type { KafkaRecord } from '../../../lib/kafka/index.ts';
import { openViews, VersionCache, type Views } from '../../../lib/views/index.ts';
import { applyBatch, type Chunk, liveTarget } from '../../../services/projector/batch.ts';
import { insertPositions, liveScope } from '../../../services/projector/positions.ts';
import { readRecord } from '../../../services/projector/reading.ts';
import { retrying } from '../../../services/projector/split.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { inSnapshot, openViewTable, recordOf, type ViewTable } from '../../support/view-table.ts';
import { referenceRows } from './reference.ts';

const topics = ['first', 'second', 'third'];
const partitions = 2;
const schema = `
  scalar SafeInt
  type Query { things: [Thing!]! @view(table: "thing") @requiresRole(anyOf: ["all"]) }
  type Thing @table(name: "thing", topics: ["first", "second", "third"], id: ["id"]) {
    id: ID! a: SafeInt b: SafeInt text: String
  }`;

let postgres: ScratchPostgres;
let plan: AppPlan;
let views: Views;
let table: ViewTable;

before(async () => {
  postgres = await scratchPostgres();
  // Hundreds of small transactions, whose durability is not the point here.
  await postgres.query(`ALTER DATABASE ${new URL(postgres.url).pathname.slice(1)} SET synchronous_commit = off`);
  plan = compileApp({ name: 'tables.graphql', body: schema });
  views = openViews({ url: postgres.url, poolSize: 1 }, plan, quietOps());
  table = await openViewTable(postgres.url, plan, 'thing');
});
after(async () => {
  await views.close();
  await table.close();
  await postgres.drop();
});

async function clear(): Promise<void> {
  const held = ['positions', 'sequences', 'tombstones'].map(name => `penstock.view_${name}`);
  for (const name of [table.version.layout.relation, ...held]) await postgres.query(`DELETE FROM ${name}`);
  const all = topics.flatMap(topic =>
    [...Array(partitions).keys()].map(partition => ({ topic, partition, offset: 0 })),
  );
  await table.store.transaction(queries => insertPositions(queries, liveScope, all));
}

async function apply(chunks: readonly Chunk[]): Promise<void> {
  const target = liveTarget(new VersionCache());
  const result = await retrying(() => table.store.transaction(queries => applyBatch(queries, target, chunks)));
  assert.equal(result.kind, 'applied');
}

async function rows(): Promise<unknown> {
  const view = plan.views.get('things');
  assert.ok(view);
  return inSnapshot(views, snapshot => snapshot.read(view, {}, { userKey: '', everyRow: true }));
}

const draft = fc.record({
  topic: fc.constantFrom(...topics),
  key: fc.constantFrom('numbered-0', 'numbered-1', 'plain-0', 'plain-1'),
  timestampMs: fc.nat({ max: 6 }),
  repeats: fc.option(fc.nat({ max: 5 }), { freq: 8 }),
  body: fc.option(
    fc.record(
      {
        id: fc.constantFrom('x', 'y', 'z'),
        a: fc.nat({ max: 9 }),
        b: fc.option(fc.nat({ max: 9 }), { freq: 3 }),
        text: fc.option(fc.constantFrom('', 'null', '{"\\'), { freq: 3 }),
      },
      { requiredKeys: ['id'] },
    ),
    { freq: 8 },
  ),
});

/** Logs as brokers would hold them: a key stays in its partition, numbers run over all topics, some come again. */
function logsOf(drafts: readonly (typeof draft extends fc.Arbitrary<infer T> ? T : never)[]): KafkaRecord[][] {
  const logs = new Map<string, KafkaRecord[]>();
  const last = new Map<string, number>();
  for (const { topic, key, timestampMs, repeats, body } of drafts) {
    const partition = key.endsWith('0') ? 0 : 1;
    const log = logs.get(`${topic}/${partition}`) ?? [];
    logs.set(`${topic}/${partition}`, log);
    let sequence: number | undefined;
    if (key.startsWith('numbered')) {
      // What comes again comes in its own topic, perhaps with other content.
      const before = log.filter(record => record.key?.toString() === key).at(-1 - (repeats ?? 0));
      sequence = repeats !== null && before ? Number(before.headers.ce_keysequence) : (last.get(key) ?? 0) + 1;
      last.set(key, Math.max(last.get(key) ?? 0, sequence));
    }
    log.push(
      recordOf(body, {
        ...{ topic, partition, offset: log.length, timestampMs, key: Buffer.from(key) },
        ...(body === null ? { value: null } : {}),
        headers: sequence === undefined ? {} : { ce_keysequence: String(sequence) },
      }),
    );
  }
  return [...logs.values()];
}

/** Batches of one or several partitions, of any size, in any order; each partition's own order is kept. */
function batchesOf(logs: readonly KafkaRecord[][], cuts: readonly number[]): Chunk[][] {
  const rests = logs.map(log => [...log]);
  const batches: Chunk[][] = [];
  for (let turn = 0; rests.some(rest => rest.length > 0); turn++) {
    // Whatever the cuts leave out comes in the end.
    const cut = turn < 200 ? (cuts[turn % cuts.length] ?? 1) : 63;
    const batch: Chunk[] = [];
    for (const [index, rest] of rests.entries()) {
      if (rest.length === 0 || ((cut >> index) & 1) === 0) continue;
      const records = rest.splice(0, 1 + (cut % 4));
      const from = records[0]?.offset ?? 0;
      const { topic = '', partition = 0 } = records[0] ?? {};
      const read = records.map(record => readRecord(plan.tables, record));
      batch.push({ topic, partition, epoch: 0, from, next: from + records.length, records: read });
    }
    if (batch.length > 0) batches.push(batch);
  }
  return batches;
}

test('in whatever order and batches partitions are applied, the table is what all of the log together says', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(draft, { minLength: 5, maxLength: 30 }),
      fc.array(fc.nat({ max: 63 }), { minLength: 1, maxLength: 8 }),
      async (drafts, cuts) => {
        await clear();
        const logs = logsOf(drafts);
        for (const batch of batchesOf(logs, cuts)) await apply(batch);
        const expected = referenceRows(topics, logs.flat(), () => true).map(({ fields }) => ({
          ...{ id: null, a: null, b: null, text: null },
          ...fields,
        }));
        assert.deepEqual(await rows(), expected);
      },
    ),
    { numRuns: 60 },
  );
});

test('two projectors that feed the same new rows at the same time both leave their part', async () => {
  for (let round = 0; round < 10; round++) {
    await clear();
    const part = (partition: number, field: string): Chunk => {
      const read = [...Array(50).keys()].map(n =>
        readRecord(
          plan.tables,
          recordOf(
            { id: `row ${n}`, [field]: n },
            { ...{ topic: 'first', partition, offset: n, timestampMs: n }, key: Buffer.from(field) },
          ),
        ),
      );
      return { topic: 'first', partition, epoch: 0, from: 0, next: 50, records: round % 2 ? read : read.reverse() };
    };
    await Promise.all([apply([part(0, 'a')]), apply([part(1, 'b')])]);
    const found = (await rows()) as { a: number; b: number }[];
    assert.equal(found.filter(({ a, b }) => a !== null && a === b).length, 50);
  }
});

test('text sorts by its bytes, whatever the database’s own collation', async () => {
  const columns = await postgres.query<{ name: string; collation: string }>(
    `SELECT attname AS name, collname AS collation FROM pg_attribute JOIN pg_collation ON attcollation = pg_collation.oid
     WHERE attrelid = '${table.version.layout.relation}'::regclass AND atttypid = 'text'::regtype`,
  );
  assert.ok(columns.length > 2);
  assert.deepEqual(
    columns.filter(({ collation }) => collation !== 'C'),
    [],
  );
});
