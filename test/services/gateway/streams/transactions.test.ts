import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type GatewayLab, openGatewayLab, type TestGateway, userIn } from '../../../support/gateway.ts';
import { kafkaAddress } from '../../../support/scratch-kafka.ts';
import { openTransactionalProducer, type TransactionalProducer } from '../../../support/transactional-producer.ts';
import { until } from '../../../support/until.ts';

let lab: GatewayLab;
let gateway: TestGateway;
let producer: TransactionalProducer;
before(async () => {
  lab = await openGatewayLab();
  gateway = await lab.gateway();
  producer = await openTransactionalProducer([kafkaAddress()]);
});
after(async () => {
  await producer?.close();
  await lab?.close();
});

test('G22: clients get a transaction when it commits, nothing of one that aborts, and metrics show the one that is open', async () => {
  const user = userIn(2);
  const at = { topic: lab.topics.notes, partition: 2 };
  const got: { n: number; cursor: string }[] = [];
  const errors: unknown[] = [];
  const client = gateway.client(await lab.accessToken(user));
  const subscribe = (into: typeof got, extensions: Record<string, unknown>) =>
    client.subscribe(
      { query: 'subscription { notes { n } }', extensions },
      {
        next: ({ data, extensions: more }) =>
          void into.push({
            n: (data as { notes: { n: number } }).notes.n,
            cursor: String((more as { cursor?: string } | undefined)?.cursor),
          }),
        error: error => void errors.push(error),
        complete: () => undefined,
      },
    );
  const notes = (...numbers: number[]) => numbers.map(n => JSON.stringify({ id: `${n}`, n, kind: 'RED' }));
  const numbers = (of: typeof got) => of.map(({ n }) => n);
  const gauge = (name: string) =>
    gateway.metric(`penstock_kafka_open_transaction_${name}{topic="${lab.topics.notes}"}`);

  subscribe(got, { from: 'earliest' });
  await lab.note(user, 1);
  await until('the first', () => got.length === 1);
  const aborted = await producer.begin();
  await aborted.send(at, notes(101, 102), { key: user });
  await aborted.abort();
  const open = await producer.begin();
  await open.send(at, notes(2, 3), { key: user });
  await lab.note(user, 4);
  await until('the gauge', async () => (await gauge('records')) === 3);
  await until('its age', async () => (await gauge('seconds')) > 0);
  const late: typeof got = [];
  subscribe(late, { from: 'now' });
  const resumed: typeof got = [];
  subscribe(resumed, { cursor: got[0]?.cursor });
  await until('the streams', async () => (await gateway.metric('penstock_gateway_subscriptions{scope="OWN"}')) === 3);
  assert.deepEqual(numbers(got), [1]);
  await open.commit();
  await lab.note(user, 5);
  await until('all', () => got.length === 5 && late.length === 4 && resumed.length === 4);
  assert.deepEqual(numbers(got), [1, 2, 3, 4, 5]);
  assert.deepEqual(numbers(late), [2, 3, 4, 5]);
  assert.deepEqual(numbers(resumed), [2, 3, 4, 5]);
  assert.deepEqual(errors, []);
  await client.dispose();
});
