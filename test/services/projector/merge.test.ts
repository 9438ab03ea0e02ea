import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  addTombstone,
  buryRow,
  type Contribution,
  compareByTime,
  maxLineages,
  mergeRow,
  noTombstones,
  type Row,
  type Stamp,
  shown,
  type Tombstones,
} from '../../../services/projector/merge.ts';

/** Offsets are given out by `logs`; a record of a key with a sequence may carry any time at all. */
type Draft = {
  topic: number;
  partition: number;
  key: string;
  timestampMs: number;
  fields: Record<string, unknown> | undefined;
};
type Logged = { stamp: Stamp; fields: Record<string, unknown> | undefined };

const draft = fc.record({
  topic: fc.nat({ max: 2 }),
  partition: fc.nat({ max: 1 }),
  key: fc.constantFrom('a', 'b', 'c'),
  timestampMs: fc.nat({ max: 8 }),
  fields: fc.oneof(
    {
      weight: 8,
      arbitrary: fc.dictionary(fc.constantFrom('x', 'y', 'z'), fc.nat({ max: 99 }), { noNullPrototype: true }),
    },
    { weight: 1, arbitrary: fc.constant(undefined) },
  ),
});

/** Key `a`'s records are all numbered, `b`'s are not, `c`'s are in topic 0 only. Sequences run over all topics. */
function logs(drafts: readonly Draft[]): Logged[][] {
  const sequences = new Map<string, number>();
  const lists = new Map<string, Logged[]>();
  for (const { topic, partition, key, timestampMs, fields } of drafts) {
    const isNumbered = key === 'a' || (key === 'c' && topic === 0);
    const sequence = isNumbered ? (sequences.get(key) ?? 0) + 1 : undefined;
    if (sequence !== undefined) sequences.set(key, sequence);
    const list = lists.get(`${topic}/${partition}`) ?? [];
    lists.set(`${topic}/${partition}`, list);
    const stamp: Stamp = { topic, partition, offset: list.length, timestampMs, sequence, key };
    // Every record that feeds the row has the id's fields.
    list.push({ stamp, fields: fields && { id: 1, ...fields } });
  }
  return [...lists.values()];
}

/** One of the orders in which several partitions may be read; each partition's own order is kept. */
function interleave(lists: readonly Logged[][], choices: readonly number[]): Logged[] {
  const rests = lists.map(list => [...list]).filter(list => list.length > 0);
  const order: Logged[] = [];
  for (let turn = 0; rests.length > 0; turn++) {
    const at = (choices[turn % Math.max(1, choices.length)] ?? 0) % rests.length;
    const next = rests[at]?.shift();
    if (next) order.push(next);
    if (rests[at]?.length === 0) rests.splice(at, 1);
  }
  return order;
}

function fold(records: readonly Logged[], pickFields = (record: Logged) => record.fields): Row | undefined {
  let row: Row | undefined;
  const graves = new Map<string, Tombstones>();
  const gravesOf = (key: string) => graves.get(key) ?? noTombstones;
  for (const record of records) {
    const { stamp } = record;
    const fields = pickFields(record);
    if (fields === undefined) {
      graves.set(stamp.key, addTombstone(gravesOf(stamp.key), stamp));
      row = row && buryRow(row, gravesOf);
    } else {
      const alive = buryRow([contribution(stamp, fields)], gravesOf);
      if (alive?.[0]) row = mergeRow(row, alive[0]);
    }
  }
  return row;
}

function contribution(stamp: Stamp, fields: Record<string, unknown>): Contribution {
  return { stamp, keyText: stamp.key, headers: undefined, fields };
}

const choices = fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 60 });

test('whichever order partitions of several topics are read in, the row is the same', () => {
  fc.assert(
    fc.property(fc.array(draft, { maxLength: 30 }), choices, choices, (drafts, one, other) => {
      const lists = logs(drafts.filter(({ fields }) => fields !== undefined));
      assert.deepEqual(fold(interleave(lists, one)), fold(interleave(lists, other)));
    }),
    { numRuns: 2_000 },
  );
});

test('tombstones delete the same, whether they are read before or after what they delete', () => {
  fc.assert(
    fc.property(fc.array(draft, { maxLength: 30 }), choices, choices, (drafts, one, other) => {
      // A key that numbers only some of its records has no consistent order of its own: `c` is left out.
      const lists = logs(drafts.filter(({ key }) => key !== 'c'));
      assert.deepEqual(fold(interleave(lists, one)), fold(interleave(lists, other)));
    }),
    { numRuns: 2_000 },
  );
});

test('reading records again changes nothing', () => {
  fc.assert(
    fc.property(fc.array(draft, { maxLength: 20 }), choices, (drafts, one) => {
      const order = interleave(logs(drafts.filter(({ key }) => key !== 'c')), one);
      assert.deepEqual(fold([...order, ...order]), fold(order));
    }),
    { numRuns: 500 },
  );
});

test('each field shows the newest value that there is: by sequence for one key, by time between keys', () => {
  fc.assert(
    fc.property(fc.array(draft, { maxLength: 30 }), choices, (drafts, one) => {
      const order = interleave(logs(drafts.filter(({ fields }) => fields !== undefined)), one);
      const row = fold(order);
      for (const field of ['x', 'y', 'z']) {
        const holders = order.filter(({ fields }) => fields && Object.hasOwn(fields, field));
        const best = [
          ...Map.groupBy(holders, ({ stamp }) => `${stamp.key} ${stamp.sequence !== undefined}`).values(),
        ].map(lineage => lineage.reduce((a, b) => (isNewer(b.stamp, a.stamp) ? b : a)));
        const expected = best.toSorted((a, b) => compareByTime(b.stamp, a.stamp))[0]?.fields?.[field];
        assert.equal(row && shown(row).fields[field], expected);
      }
    }),
    { numRuns: 1_000 },
  );
});

function isNewer(a: Stamp, b: Stamp): boolean {
  return a.sequence !== undefined && b.sequence !== undefined ? a.sequence > b.sequence : compareByTime(a, b) > 0;
}

const at = (offset: number, more: Partial<Stamp> = {}): Stamp => ({
  topic: 0,
  partition: 0,
  offset,
  timestampMs: offset,
  sequence: undefined,
  key: 'a',
  ...more,
});

test('an absent field keeps what is there, null overwrites it', () => {
  const first = mergeRow(undefined, contribution(at(1), { id: 1, x: 'old', y: 'kept' }));
  assert.deepEqual(shown(mergeRow(first, contribution(at(2), { id: 1, x: null }))).fields, {
    id: 1,
    x: null,
    y: 'kept',
  });
});

test('a sequence counts more than the time that a producer wrote', () => {
  const late = contribution(at(1, { sequence: 7, timestampMs: 10 }), { x: 'seven' });
  const early = contribution(at(2, { topic: 1, sequence: 6, timestampMs: 99 }), { x: 'six' });
  assert.equal(shown(mergeRow(mergeRow(undefined, late), early)).fields.x, 'seven');
  assert.equal(shown(mergeRow(mergeRow(undefined, early), late)).fields.x, 'seven');
});

test('sequences of different keys are not compared: each key counts for itself', () => {
  const busy = contribution(at(1, { key: 'a', sequence: 500, timestampMs: 1 }), { x: 'old' });
  const fresh = contribution(at(2, { key: 'b', sequence: 1, timestampMs: 2 }), { x: 'new' });
  assert.equal(shown(mergeRow(mergeRow(undefined, busy), fresh)).fields.x, 'new');
});

test('the rows of a deleted key go, what others have said about them stays', () => {
  const ofA = contribution(at(1, { key: 'a' }), { id: 1, x: 'from a' });
  const ofB = contribution(at(2, { key: 'b' }), { id: 1, y: 'from b' });
  const row = mergeRow(mergeRow(undefined, ofA), ofB);
  const graves = new Map([['a', addTombstone(noTombstones, at(3, { key: 'a' }))]]);
  const left = buryRow(row, key => graves.get(key) ?? noTombstones);
  assert.deepEqual(left && shown(left).fields, { id: 1, y: 'from b' });
});

test('a row keeps a bounded number of hidden values, however many keys feed it', () => {
  let row: Row | undefined;
  for (let index = 0; index < 50; index++) {
    row = mergeRow(row, contribution(at(index, { key: `key ${index}` }), { id: 1, x: index }));
  }
  assert.equal(row?.length, maxLineages);
  assert.equal(row && shown(row).fields.x, 49);
});
