import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLogEnds } from '../../../lib/replay/log-ends.ts';

test('many that ask at once cost one question, and each gets an answer to a question younger than his own', async () => {
  const asked: (readonly number[])[] = [];
  let end = 0;
  const ends = openLogEnds({
    async offsets(_topic, partitions) {
      asked.push(partitions);
      const found = end;
      await new Promise(resolve => setTimeout(resolve, 5));
      return new Map(partitions.map(partition => [partition, { start: 0, end: found }]));
    },
  });
  const first = [ends('t', [0]), ends('t', [0, 1])];
  await Promise.all(first);
  assert.deepEqual(asked, [[0, 1]]);
  assert.deepEqual(
    [...(await (first[0] ?? assert.fail()))],
    [[0, 0]],
    'of no other partition than those that were asked for',
  );
  end = 7;
  const later = Array.from({ length: 100 }, (_, index) => ends('t', [index % 3]));
  for (const [index, answer] of (await Promise.all(later)).entries()) assert.equal(answer.get(index % 3), 7);
  assert.equal(asked.length, 2);
});

test('a question that fails is asked again by whoever asks again', async () => {
  let fails = true;
  const ends = openLogEnds({
    async offsets() {
      if (fails) throw new Error('away');
      return new Map([[0, { start: 0, end: 3 }]]);
    },
  });
  await assert.rejects(ends('t', [0]), /away/);
  fails = false;
  assert.deepEqual([...(await ends('t', [0]))], [[0, 3]]);
});

test('a partition that does not exist is missing from the answer, not at 0', async () => {
  const ends = openLogEnds({ offsets: async () => new Map([[0, { start: 0, end: 3 }]]) });
  assert.deepEqual([...(await ends('t', [0, 9]))], [[0, 3]]);
});
