import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { partitionOf } from '../../../../lib/kafka/index.ts';
import { isIncomplete } from '../../../../services/gateway/streams/unread.ts';
import { type GatewayLab, openGatewayLab, partitions, type TestGateway, userIn } from '../../../support/gateway.ts';
import { until } from '../../../support/until.ts';

let lab: GatewayLab;
let gateway: TestGateway;
before(async () => {
  lab = await openGatewayLab();
  gateway = await lab.gateway();
});
after(() => lab?.close());

const grownTo = 2 * partitions;
const notes = 'subscription { notes { n } }';
const allNotes = 'subscription { allNotes { n } }';

/** A user of partition 1 before, and of this one after the topic has grown. */
function userOf(partition: number): string {
  for (;;) {
    const user = userIn(1);
    if (partitionOf(user, grownTo) === partition) return user;
  }
}

async function subscribe(user: string, query: string) {
  const token = await lab.accessToken(user, { roles: ['auditor'] });
  const stream = { events: 0, codes: [] as unknown[], ready: false };
  const client = gateway.client(token, { on: { ping: () => void (stream.ready = true) } });
  client.subscribe(
    { query },
    {
      next: () => void stream.events++,
      error: error => void stream.codes.push((error as { code?: number }).code),
      complete: () => void stream.codes.push('complete'),
    },
  );
  await until('it is open, or refused', () => stream.ready || stream.codes.length > 0, 20_000);
  return { ...stream, stream, client };
}

test('streams whose records lie in a partition that nobody reads are closed with 1013, and no others are', async t => {
  const [moved, stays, another] = [userOf(1 + partitions), userOf(1), userIn(2)];
  const mine = await subscribe(moved, notes);
  const hers = await subscribe(stays, notes);
  const everybodys = await subscribe(another, allNotes);
  const clients = [mine.client, hers.client, everybodys.client];
  t.after(() => Promise.all(clients.map(client => client.dispose())));

  await lab.kafka.topics.grow(lab.topics.notes, grownTo);
  const readyz = async () => (await fetch(`${gateway.admin}/readyz`)).json();
  await until(
    'the gateway warns',
    async () => ((await readyz()) as { warnings?: object }).warnings !== undefined,
    20_000,
  );
  await lab.note(moved, 1); // as a producer does that knows of the old partitions only
  await until('it is delivered', () => mine.stream.events === 1 && everybodys.stream.events === 1);
  assert.deepEqual([mine.stream.codes, hers.stream.codes, everybodys.stream.codes], [[], [], []]);

  const value = JSON.stringify({ id: 'x', n: 2, kind: 'RED' });
  await lab.lanes.send({ topic: lab.topics.notes, partition: 1 + partitions }, { key: moved, value });
  await until(
    'the streams that lack it end',
    () => mine.stream.codes.length + everybodys.stream.codes.length === 2,
    20_000,
  );
  assert.deepEqual([mine.stream.codes, everybodys.stream.codes], [[1013], [1013]]);
  assert.match(JSON.stringify(await readyz()), /1 records lie in the others\. Stop all services/);
  const token = await lab.accessToken(moved);
  const refused = await gateway.post(token, { query: notes }, { accept: 'text/event-stream' });
  assert.match(await refused.text(), /"code":"UNAVAILABLE"/);
  const again = await subscribe(moved, notes);
  clients.push(again.client);
  assert.deepEqual(again.stream.codes, [1013]);

  await lab.note(stays, 3);
  await until('the other stream goes on', () => hers.stream.events === 1);
  const late = await subscribe(stays, notes);
  clients.push(late.client);
  assert.deepEqual([hers.stream.codes, late.stream.codes], [[], []]);
});

test('a stream is incomplete by the partition in which its key lives now', () => {
  const unread = { count: grownTo, records: new Map([[1 + partitions, 1]]) };
  assert.equal(isIncomplete(undefined, userOf(1 + partitions)), false);
  assert.equal(isIncomplete(unread, userOf(1 + partitions)), true);
  assert.equal(isIncomplete(unread, userOf(1)), false);
  assert.equal(isIncomplete(unread, undefined), true);
  assert.equal(isIncomplete({ count: grownTo, records: new Map() }, undefined), false);
});
