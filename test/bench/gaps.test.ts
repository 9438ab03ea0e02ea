import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Delivery, findingsOf, quantile } from '../../bench/gaps/measure.ts';

const window = { fault: 'kill -9', fromMs: 1_000, toMs: 2_000 };
/** A record every 100 ms from 0 to 2,900. */
const appendedAtMs = Array.from({ length: 30 }, (_, record) => record * 100);
/** Each comes 5 ms after its append, but for those that are named. */
const got = (but: Readonly<Record<number, number>> = {}): Delivery[] =>
  appendedAtMs
    .map((appended, record) => ({ record, atMs: but[record] ?? appended + 5 }))
    .sort((a, b) => a.atMs - b.atMs);

test('a client to which nothing happened has the gap of its records, and no finding', () => {
  assert.deepEqual(findingsOf(window, appendedAtMs, got()), {
    gapMs: 100,
    appendGapMs: 100,
    latestMs: 5,
    lost: 0,
    twice: 0,
    outOfOrder: 0,
  });
});

test('a silence counts from the last delivery before it to the first after it, also where it leaves the window', () => {
  const held = Object.fromEntries([17, 18, 19, 20, 21].map(record => [record, 2_150]));
  assert.deepEqual(findingsOf(window, appendedAtMs, got(held)), {
    gapMs: 2_150 - 1_605,
    appendGapMs: 100,
    latestMs: 2_150 - 1_700,
    lost: 0,
    twice: 0,
    outOfOrder: 0,
  });
});

test('where nothing was written nothing can come: the time between two appends is told, also where it leaves the window', () => {
  const paused = [900, 1_000, 1_950, 2_300, 3_000];
  const deliveries = paused.map((appended, record) => ({ record, atMs: appended + 5 }));
  const { appendGapMs, gapMs } = findingsOf(window, paused, deliveries);
  assert.deepEqual({ appendGapMs, gapMs }, { appendGapMs: 950, gapMs: 950 });
  const late = findingsOf({ ...window, fromMs: 1_960 }, paused, deliveries);
  assert.equal(late.appendGapMs, 350);
});

test('what never came is lost, and a client that never came back has a gap to the end', () => {
  const found = findingsOf(window, appendedAtMs, got().slice(0, 15));
  assert.deepEqual({ lost: found.lost, gapMs: found.gapMs }, { lost: 5, gapMs: 2_000 - 1_405 });
});

test('records outside of the window are not its loss', () => {
  const without = got().filter(({ record }) => record !== 5 && record !== 25);
  assert.equal(findingsOf(window, appendedAtMs, without).lost, 0);
});

test('a repeat is twice, and a record that comes after a later one is out of order', () => {
  const repeated = [...got().slice(0, 13), { record: 12, atMs: 1_206 }, ...got().slice(13)];
  const { twice, outOfOrder } = findingsOf(window, appendedAtMs, repeated);
  assert.deepEqual({ twice, outOfOrder }, { twice: 1, outOfOrder: 0 });
  const swapped = got({ 12: 1_306 });
  assert.deepEqual(findingsOf(window, appendedAtMs, swapped).outOfOrder, 1);
});

test('a quantile is by nearest rank', () => {
  assert.equal(quantile([3, 1, 2], 0.5), 2);
  assert.equal(quantile([1, 2, 3, 4], 0.99), 4);
  assert.equal(quantile([], 0.5), Number.NaN);
});
