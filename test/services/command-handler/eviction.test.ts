import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { describeAssignment, partitionOf } from '../../../lib/kafka/index.ts';
import { until } from '../../support/until.ts';
import { type HandlerProcess, openStage, type Stage } from './stage.ts';

/** Far longer than anything here is waited for: whoever has left the group by then was put out of it. */
const session = { PENSTOCK_KAFKA_SESSION_TIMEOUT_MS: '300000' };

let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(() => stage.close());

/** Who is in the group: member id and partitions by admin address. Undefined while it rebalances. */
async function members(): Promise<Map<string, { memberId: string; partitions: readonly number[] }> | undefined> {
  const group = await describeAssignment(stage.kafka.connection, stage.group);
  return group?.generation === undefined ? undefined : new Map(group.members.map(each => [each.address, each]));
}

/** A user whose key lies in the partition. */
function userOf(partition: number): string {
  for (let count = 0; ; count += 1) {
    const user = `user-${count}`;
    if (partitionOf(user, stage.partitions) === partition) return user;
  }
}

test('a handler that is killed is put out of the group by the other, which takes up its commands while its session lasts', async () => {
  const both: readonly HandlerProcess[] = await Promise.all([stage.start(session), stage.start(session)]);
  const [victim, survivor] = both as [HandlerProcess, HandlerProcess];
  await Promise.all(both.map(handler => handler.ready()));
  const shares = await until('both have their share', async () => {
    const found = await members();
    const isShared = both.every(({ admin }) => found?.get(admin)?.partitions.length === stage.partitions / 2);
    return isShared ? found : undefined;
  });
  const { memberId, partitions } = shares.get(victim.admin) ?? assert.fail('the victim is a member');
  for (const handler of both) {
    await until('each knows the other', async () => (await handler.metric('penstock_ownership_peers')) === 1);
  }

  victim.signal('SIGKILL');
  assert.equal(await victim.exited, 'SIGKILL');
  const users = partitions.map(userOf);
  const openings = await Promise.all(users.map(user => stage.command(user, 'openAccount', {})));
  for (const [index, user] of users.entries()) {
    assert.equal((await stage.verdict(user, openings[index] ?? '')).success, true);
  }

  const left = await until('the group has settled', members);
  assert.deepEqual([...left.keys()], [survivor.admin]);
  assert.equal(left.get(survivor.admin)?.partitions.length, stage.partitions);
  const eviction = await until('the survivor says whom it has put out', () =>
    survivor.log.find(({ message }) => message === 'a peer is dead: putting it out of the group'),
  );
  assert.equal(eviction.memberId, memberId);
  assert.ok(!survivor.log.some(({ message }) => message === 'lost'), 'it was in the group all the time');
});
