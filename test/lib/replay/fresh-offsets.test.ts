import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openFreshOffsets } from '../../../lib/replay/fresh-offsets.ts';

test('a partition whose leader does not answer holds up the bounds of no other one', async () => {
  const asked: (readonly number[])[] = [];
  let answers = false;
  // As lib/kafka/topics.ts: all or nothing, and not before its patience is over.
  const offsets = openFreshOffsets({
    identity: async () => ({ topicId: 'id', partitions: 3 }),
    async offsets(_, partitions) {
      asked.push(partitions);
      if (partitions.includes(1) && !answers) {
        await sleep(3_000);
        throw new Error('partition 1 has no leader');
      }
      return new Map(partitions.map(partition => [partition, { start: 0, end: 10 }]));
    },
  });
  const outcomes: string[] = [];
  const bounds = async (...partitions: number[]) => {
    const found = await offsets.bounds('topic', partitions).catch(() => undefined);
    outcomes.push(`${partitions}:${found === undefined ? 'refused' : [...found.keys()]}`);
  };
  const together = [bounds(0), bounds(1), bounds(2)];
  await Promise.all([together[0], together[2]]);
  assert.deepEqual(outcomes.splice(0), ['0:0', '2:2'], 'they waited with it, but not for all of its patience');
  const bad = [bounds(1), bounds(1)];
  for (let count = 0; count < 20; count++) await bounds(0, 2);
  assert.deepEqual(new Set(outcomes.splice(0)), new Set(['0,2:0,2']), 'they wait for it no more');
  await Promise.all([...together, ...bad]);
  assert.deepEqual(outcomes.splice(0), ['1:refused', '1:refused', '1:refused']);
  answers = true;
  await bounds(1);
  asked.length = 0;
  await Promise.all([bounds(0), bounds(1), bounds(2)]);
  assert.deepEqual(asked, [[0, 1, 2]], 'one that answers again is asked for with the others');
});
