import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnerMap } from '../../../lib/ownership/owner-map.ts';
import { isOther, mergeOwners, ownersOf } from '../../../lib/ownership/owners.ts';
import type { Owner } from '../../../lib/ownership/types.ts';

const owner = (address: string, epoch: number, generation = 1): Owner => ({
  address,
  epoch,
  generation,
  memberId: address,
});

test('another address will do, another member, a newer epoch, and where epochs say nothing a newer generation', () => {
  const cases: readonly [Owner, Owner | undefined, boolean][] = [
    [owner('a', 1), undefined, true],
    [owner('a', 1), owner('a', 1), false],
    [owner('b', 1), owner('a', 1), true],
    [owner('b', 0), owner('a', 9), true],
    [owner('a', 2), owner('a', 1), true],
    [owner('a', 1), owner('a', 2), false],
    [owner('a', 0, 5), owner('a', 0, 4), true],
    [owner('a', 0, 4), owner('a', 0, 4), false],
    [{ ...owner('a', 0, 4), memberId: 'restarted' }, owner('a', 9, 4), true],
  ];
  for (const [candidate, not, expected] of cases) assert.equal(isOther(candidate, not), expected);
});

test("Redis' word counts; the group fills holes; what nobody knows better stays", () => {
  const before = new Map([
    [0, owner('old', 1)],
    [1, owner('old', 1)],
    [2, owner('old', 1)],
    [3, owner('old', 1)],
  ]);
  const redis = new Map([
    [0, owner('redis', 2)],
    [1, owner('', 3)],
  ]);
  const group = new Map([
    [0, owner('group', 0)],
    [1, owner('group', 0)],
    [2, owner('group', 0)],
  ]);
  assert.deepEqual(
    mergeOwners(before, redis, group),
    new Map([
      [0, owner('redis', 2)],
      [2, owner('group', 0)],
      [3, owner('old', 1)],
    ]),
  );
});

test('without Redis the group is asked, without both the table stays as it was', () => {
  const before = new Map([[0, owner('old', 4)]]);
  assert.deepEqual(mergeOwners(before, undefined, new Map([[0, owner('new', 0)]])), new Map([[0, owner('new', 0)]]));
  assert.deepEqual(mergeOwners(before, undefined, undefined), before);
});

test('the group still names who Redis named: then what Redis knew of it is kept', () => {
  const before = new Map([[0, owner('same', 4)]]);
  assert.deepEqual(mergeOwners(before, undefined, new Map([[0, owner('same', 0)]])), before);
});

test("a group's assignment names an owner for each partition", () => {
  const members = [
    { memberId: 'm1', address: 'http://one', peer: 'one:1', partitions: [0, 2] },
    { memberId: 'm2', address: 'http://two', peer: '', partitions: [1] },
  ];
  const owners = ownersOf({ generation: 5, members });
  assert.deepEqual(owners.get(2), { address: 'http://one', epoch: 0, generation: 5, memberId: 'm1', peer: 'one:1' });
  assert.equal(owners.size, 3);
  assert.equal(ownersOf(undefined).size, 0);
});

test('who is taken for dead is not asked, until another one is known or the mistake is forgotten', () => {
  const map = new OwnerMap();
  map.redisAnswered(new Map([[0, owner('dead', 4)]]));
  map.bury('dead', 1_000);
  assert.equal(map.owner(0, 1_001), undefined);
  map.redisAnswered(new Map([[0, owner('dead', 4)]]));
  assert.equal(map.owner(0, 1_002), undefined);
  assert.equal(map.owner(0, 7_000)?.address, 'dead');
  map.bury('dead', 8_000);
  map.published(0, owner('next', 5));
  assert.equal(map.owner(0, 8_001)?.address, 'next');
});
