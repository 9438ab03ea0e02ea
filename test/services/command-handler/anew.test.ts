import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { openStage, type Stage } from './stage.ts';

let stage: Stage;
before(async () => {
  stage = await openStage({ partitions: 1 });
});
after(() => stage.close());

async function makeAnew(topic: string): Promise<void> {
  await stage.kafka.remove(topic);
  await stage.kafka.topics.ensure([{ name: topic, partitions: 1, replicationFactor: 1 }]);
}

test('a command topic that is made again and refilled is taken up from its beginning, live and after a restart; what was decided stays', async () => {
  const first = await stage.start();
  await first.ready();
  const opening = randomUUID();
  await stage.command('alice', 'openAccount', {}, opening);
  const { iban } = await stage.verdict('alice', opening);

  await makeAnew(stage.topic('commands'));
  // more than the old one held: its position is in the new one, too
  const users = ['alice', 'bob', 'carol', 'dave'];
  const ids = await Promise.all(users.map(user => stage.command(user, 'openAccount', {}, opening)));
  const ibans = await Promise.all(users.map(async (user, i) => (await stage.verdict(user, ids[i] ?? '')).iban));
  assert.equal(ibans[0], iban, 'the first verdict stands');
  assert.equal(new Set(ibans).size, users.length);

  first.signal('SIGTERM');
  assert.equal(await first.exited, 0);
  await makeAnew(stage.topic('commands'));
  const late = await Promise.all(['x', 'y', 'z', 'u', 'v', 'w'].map(user => stage.command(user, 'openAccount', {})));
  const second = await stage.start();
  await second.ready();
  assert.ok((await stage.verdict('x', late[0] ?? '')).success, 'the beginning is not skipped');
  second.signal('SIGTERM');
  assert.equal(await second.exited, 0);
});
