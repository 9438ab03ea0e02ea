import assert from 'node:assert/strict';
import { test } from 'node:test';
import { untruths } from './audit.ts';
import { openLog } from './log.ts';
import type { WindowContent } from './windows.ts';

/** Offsets 0, 1, 2…: whose record each is. */
function logOf(...keys: readonly (string | null)[]) {
  const log = openLog();
  for (const [offset, key] of keys.entries()) log.add({ partition: 0, offset, key });
  return log.partition(0);
}

const log = logOf('a', 'b', null, 'a', 'a', 'b');

/** `chain`: a predecessor, and the entries behind it, each of which names the one before it. */
type Keys = Readonly<Record<string, { last: number; chain: readonly number[] }>>;

function windowOf(from: number, tail: number, keys: Keys): WindowContent {
  return {
    ...{ name: 'w', topic: 't', partition: 0, from, tail },
    keys: Object.entries(keys).map(([key, { last, chain }]) => ({
      ...{ key, last },
      entries: chain.slice(1).map((offset, index) => ({ previous: chain[index] ?? -1, offset })),
    })),
  };
}

const a = { last: 4, chain: [-1, 0, 3, 4] };
const b = { last: 5, chain: [1, 5] };

const honest: Readonly<Record<string, WindowContent>> = {
  'all of it': windowOf(0, 5, { a, b: { last: 5, chain: [-1, 1, 5] } }),
  'one that began later': windowOf(3, 5, { a: { last: 4, chain: [2, 3, 4] }, b: { last: 5, chain: [2, 5] } }),
  'one that lags': windowOf(0, 3, { a: { last: 3, chain: [0, 3] }, b: { last: 1, chain: [-1, 1] } }),
  'one whose streams were trimmed or evicted': windowOf(0, 5, {
    a: { last: 4, chain: [3, 4] },
    b: { last: 5, chain: [] },
  }),
  'one that has aged a key out': windowOf(5, 5, { b }),
  'one that knows more than the log that was read': windowOf(0, 7, { a: { last: 7, chain: [3, 4, 7] }, b }),
};
for (const [name, window] of Object.entries(honest)) {
  test(`a window is as the log: ${name}`, () => assert.deepEqual(untruths(window, log), []));
}

const lying: Readonly<Record<string, [WindowContent, RegExp]>> = {
  'a record left out within a chain': [
    windowOf(0, 5, { a: { last: 4, chain: [-1, 0, 4] }, b }),
    /4 comes behind 0; the log has 3/,
  ],
  'a record left out before the first entry': [
    windowOf(0, 5, { a: { last: 4, chain: [0, 4] }, b }),
    /4 comes behind 0/,
  ],
  'a record left out behind the last': [
    windowOf(0, 5, { a: { last: 3, chain: [0, 3] }, b }),
    /3 is the last up to 5; the log has 4/,
  ],
  'a key left out': [windowOf(0, 5, { b }), /of a, nothing from 0 on; the log has 0/],
  'somebody else’s record': [
    windowOf(0, 5, { a: { last: 4, chain: [0, 1, 3, 4] }, b }),
    /an entry, 1, is not in the log/,
  ],
  'a record behind the tail': [windowOf(0, 4, { a, b }), /5, is behind the tail, 4/],
};
for (const [name, [window, words]] of Object.entries(lying)) {
  test(`a window is not as the log: ${name}`, () => assert.match(untruths(window, log).join('\n'), words));
}
