import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Lanes, openLanes, openTopics, partitionOf, recordSkip } from '../../../lib/kafka/index.ts';
import { writeUnreadable } from '../../support/unreadable.ts';
import { until } from '../../support/until.ts';
import { openStage, type Stage } from './stage.ts';

let stage: Stage;
let lanes: Lanes;
before(async () => {
  stage = await openStage();
  lanes = openLanes(stage.kafka.connection, { bufferBytes: 1_000_000 });
});
after(async () => {
  await lanes?.close();
  await stage?.close();
});

test('a batch that no handler can read stops its partition, and readiness says which and how to get past it', async () => {
  const user = 'alice';
  const partition = partitionOf(user, stage.partitions);
  const topic = stage.topic('commands');
  const other = ['bob', 'carol', 'dave', 'erin', 'frank'].find(
    name => partitionOf(name, stage.partitions) !== partition,
  );
  assert.ok(other !== undefined);
  const handler = await stage.start();
  await handler.ready();
  await writeUnreadable({ topic, partition }, user);
  const id = await stage.command(user, 'openAccount', {});
  const reason = await until('the reason', async () => (await handler.reasons()).reading, 20_000);
  assert.match(
    reason,
    new RegExp(`^offsets 0 to 0 of ${topic}/${partition} cannot be read: .*npm run skip -- ${topic}/${partition} 0$`),
  );
  await stage.verdict(other, await stage.command(other, 'openAccount', {}));

  const topics = openTopics(stage.kafka.connection, { honourSkips: false });
  await recordSkip({ topics, lanes, replicationFactor: 1 }, { topic, partition }, 0);
  await topics.close();
  await stage.verdict(user, id);
  await handler.ready();
});
