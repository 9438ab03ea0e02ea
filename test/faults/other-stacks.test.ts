import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionOf } from '../../lib/kafka/index.ts';
import { account, collector, transactions, transferMoney, verdictOf } from '../support/bank.ts';
import { testKafka } from '../support/dump.ts';
import { startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { openUser } from '../support/user.ts';

test('the bank runs the same on three brokers over TLS', async () => {
  const stack = await startStack({ brokers: 3, tls: true });
  try {
    const alice = await openUser(stack.url, 'alice');
    const bob = await openUser(stack.url, 'bob');
    const [hers, his] = [await account(alice), await account(bob)];
    const seen = collector();
    const stream = bob.subscribe({ query: transactions }, seen);
    await until('a cursor', () => stream.cursor() !== undefined);
    assert.equal(
      verdictOf(await alice.mutate(transferMoney, { ...hers, from: 'cash', to: hers.iban, amount: 100 })).success,
      true,
    );
    assert.equal(
      verdictOf(await alice.post(transferMoney, { ...hers, from: hers.iban, to: his.iban, amount: 40 })).success,
      true,
    );
    await until('bob to see it', () => seen.got.length === 1);
    await until('the view', async () => {
      const answer = await bob.post('{ account { balance } }');
      return (answer.data.account as { balance: number } | null)?.balance === 40;
    });
    assert.equal(stack.kafka.length, 3);
    await Promise.all([alice.close(), bob.close()]);
  } finally {
    await stack.stop();
  }
});

test('an app that is a schema alone streams, keeps its tables, and takes its verdicts from a program of its own', async () => {
  const stack = await startStack({ app: 'examples/fleet' });
  const kafka = testKafka(stack.kafka);
  const producer = kafka.producer();
  const planner = kafka.consumer({ groupId: 'planner' });
  const operator = await openUser(stack.url, 'operator');
  const dora = await openUser(stack.url, 'dora');
  const send = (topic: string, key: string, value: object, headers: Record<string, string> = {}) =>
    producer.send({
      topic,
      messages: [{ key, value: JSON.stringify(value), headers, partition: partitionOf(key, stack.partitions) }],
    });
  try {
    assert.equal(
      stack.processes().some(({ service }) => service === 'command-handler'),
      false,
    );
    await producer.connect();
    await planner.connect();
    await planner.subscribe({ topic: 'fleet.orders', fromBeginning: true });
    await planner.run({
      eachMessage: async ({ message }) => {
        const key = String(message.key);
        const { vehicle } = JSON.parse(String(message.value));
        const ce_commandid = String(message.headers?.ce_id);
        for (const [step, ce_final] of [
          ['asked', 'false'],
          ['under way', 'true'],
        ] as const) {
          await send('fleet.order-results', key, { accepted: true, vehicle, step }, { ce_commandid, ce_final });
        }
      },
    });

    const seen = collector('telemetry');
    const query = 'subscription { telemetry(fasterThan: 48) { vehicle speedKmh position { lat } temperatures } }';
    const stream = operator.subscribe({ query }, seen);
    await until('a cursor', () => stream.cursor() !== undefined);
    await send('fleet.trips', 'van-7', { driver: 'dora' });
    for (const speedKmh of [47.5, 48, 48.5]) {
      const value = {
        state: 'DRIVING',
        speedKmh,
        position: { lat: 52.4, lon: 4.9 },
        temperatures: [4.5, null],
        measuredAt: new Date().toISOString(),
      };
      await send('fleet.telemetry', 'van-7', value);
    }
    await until('the fast one', () => seen.got.length > 0);
    assert.deepEqual(seen.got, [
      { vehicle: 'van-7', speedKmh: 48.5, position: { lat: 52.4 }, temperatures: [4.5, null] },
    ]);

    await until('dora to see her van', async () => {
      const { data } = await dora.post('{ myVehicle { id state speedKmh } }');
      return (data.myVehicle as { speedKmh: number } | null)?.speedKmh === 48.5;
    });
    const refused = await dora.post('{ myVehicle { id driver } }');
    assert.equal(refused.errors?.[0]?.extensions?.code, 'FORBIDDEN');
    const listed = await operator.post('{ vehicles(fasterThan: 40, states: [DRIVING]) { id driver } }');
    assert.deepEqual(listed.data, { vehicles: [{ id: 'van-7', driver: 'dora' }] });

    const dispatch = 'dispatch(vehicle: "van-7", stops: [{ lat: 52.4, lon: 4.9 }]) { accepted step }';
    const answer = await operator.post(`mutation { ${dispatch} }`);
    assert.deepEqual(answer.data, { dispatch: { accepted: true, step: 'under way' } });
    const steps = collector('dispatch');
    let complete = false;
    operator.subscribe({ query: `subscription { ${dispatch} }` }, { ...steps, complete: () => (complete = true) });
    await until('the subscription to complete', () => complete);
    assert.deepEqual(steps.got, [
      { accepted: true, step: 'asked' },
      { accepted: true, step: 'under way' },
    ]);
  } finally {
    await Promise.all([operator.close(), dora.close(), planner.disconnect(), producer.disconnect()]);
    await stack.stop();
  }
});
