import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPace, type Pace } from '../../../../services/gateway/streams/pace.ts';

/** Takes so many records as a stream does; each costs a tenth of a millisecond of the test's clock. */
async function take(
  name: string,
  records: number,
  pace: Pace,
  order: string[],
  spend: () => void,
  user = name,
): Promise<void> {
  let inRow = 0;
  for (let index = 0; index < records; index++) {
    const turn = pace.turn(inRow++, user);
    if (turn !== undefined) {
      await turn;
      inRow = 1;
    }
    spend();
    order.push(name);
  }
}

function clock() {
  let nowMs = 0;
  return {
    now: () => nowMs,
    spend: () => {
      nowMs += 0.1;
    },
  };
}

test('a stream with little to deliver goes on at once', async () => {
  const { now, spend } = clock();
  const pace = openPace({ sliceMs: 20, rowRecords: 16, now });
  const order: string[] = [];
  const taking = take('a', 150, pace, order, spend);
  assert.equal(order.length, 150, 'nothing was waited for');
  await taking;
});

test('the event loop goes round after each slice, however much there is to deliver', async () => {
  const { now, spend } = clock();
  const pace = openPace({ sliceMs: 20, rowRecords: 16, now });
  const order: string[] = [];
  const rounds: number[] = [];
  let done = false;
  const watch = () => {
    rounds.push(order.length);
    if (!done) setImmediate(watch);
  };
  setImmediate(watch);
  await take('a', 2_000, pace, order, spend);
  done = true;
  for (const [index, count] of rounds.entries()) {
    assert.ok(count - (rounds[index - 1] ?? 0) <= 201, `${count - (rounds[index - 1] ?? 0)} records in one round`);
  }
});

test('streams that have much to deliver take turns, and none is left out', async () => {
  const { now, spend } = clock();
  const pace = openPace({ sliceMs: 20, rowRecords: 16, now });
  const order: string[] = [];
  const names = Array.from({ length: 20 }, (_, index) => `stream-${index}`);
  await Promise.all(names.map(name => take(name, 500, pace, order, spend)));
  assert.equal(order.length, 10_000);
  // The first has its slice to itself, the others have at most a row each, until all of them have had a turn.
  const rest = order.slice(201);
  const firstOf = (name: string) => rest.indexOf(name);
  const late = Math.max(...names.map(firstOf));
  assert.ok(late <= names.length * 17, `the last one began after ${late} records of others`);
});

test('whoever waits with a single record is served with the others of its round, and not one a round', async () => {
  const { now, spend } = clock();
  const pace = openPace({ sliceMs: 20, rowRecords: 16, now });
  const order: string[] = [];
  let rounds = 0;
  let done = false;
  const watch = () => {
    rounds++;
    if (!done) setImmediate(watch);
  };
  // Its slice is used up, so everybody else has to wait for the next round.
  const busy = take('busy', 201, pace, order, spend);
  const singles = Array.from({ length: 300 }, (_, index) => take(`single-${index}`, 1, pace, order, spend));
  setImmediate(watch);
  await Promise.all([busy, ...singles]);
  done = true;
  assert.equal(order.length, 501);
  assert.ok(rounds <= 4, `300 records of 0.1 ms each took ${rounds} rounds of 20 ms`);
});

test('a user with many streams has no more turns than one with a single stream', async () => {
  const { now, spend } = clock();
  const pace = openPace({ sliceMs: 20, rowRecords: 16, now });
  const order: string[] = [];
  const greedy = Array.from({ length: 50 }, () => take('greedy', 400, pace, order, spend));
  await Promise.all([...greedy, take('modest', 400, pace, order, spend)]);
  const done = order.lastIndexOf('modest');
  const others = order.slice(order.indexOf('modest'), done).filter(name => name === 'greedy').length;
  // Row about row, and a slice that somebody had to himself; in turn by stream it would be fifty rows for each.
  assert.ok(others <= 2 * 400 + 201, `${others} records of the other went before`);
});
