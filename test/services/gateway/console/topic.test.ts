import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type GatewayLab, openGatewayLab, type TestGateway } from '../../../support/gateway.ts';
import { until } from '../../../support/until.ts';

let lab: GatewayLab;
let operator: string;
let somebody: string;

before(async () => {
  lab = await openGatewayLab();
  operator = await lab.accessToken('olga', { roles: ['operator'] });
  somebody = await lab.accessToken('sam', { roles: ['auditor'] });
});
after(() => lab.close());

interface Answer {
  data?: { console?: { topic: string; available: boolean; advice: string | null } } | null;
  errors?: { message: string; extensions: { code: string } }[];
}

async function ask(
  gateway: TestGateway,
  token: string,
  query: string,
  accept?: string,
): Promise<Answer & { status: number }> {
  const response = await fetch(`${gateway.url}/console/graphql`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      ...(accept !== undefined && { accept }),
    },
    body: JSON.stringify({ query }),
  });
  const text = await response.text();
  // A refusal over SSE is one event; a status is JSON.
  const json = /^data: (.*)$/m.exec(text)?.[1] ?? text;
  return { status: response.status, ...(JSON.parse(json) as Answer) };
}

const stream = (gateway: TestGateway, token: string) =>
  ask(gateway, token, 'subscription { instances { key } }', 'text/event-stream');
const state = (gateway: TestGateway) => ask(gateway, operator, '{ console { topic available advice } }');

test('without its topic the console says which command creates it, and streams as soon as it is there', async () => {
  const topic = `fleet-${randomUUID()}`;
  const gateway = await lab.gateway({ env: { PENSTOCK_FLEET_TOPIC: topic, PENSTOCK_FLEET_INTERVAL_MS: '250' } });
  const { data } = await until('it has looked', async () => {
    const answer = await state(gateway);
    return answer.data?.console?.advice?.includes('--create') ? answer : undefined;
  });
  assert.deepEqual([data?.console?.topic, data?.console?.available], [topic, false]);
  const refused = await stream(gateway, operator);
  assert.equal(refused.status, 503);
  assert.equal(refused.errors?.[0]?.extensions.code, 'UNAVAILABLE');
  assert.match(refused.errors?.[0]?.message ?? '', new RegExp(`kafka-topics.sh .* --create --topic ${topic} `));
  assert.ok((await fetch(`${gateway.admin}/readyz`)).ok, 'the gateway serves all the same');
  assert.equal(gateway.log().split('"fleet_topic_missing"').length, 2, 'it is said once');

  await lab.kafka.topics.ensure([{ name: topic, partitions: 1, replicationFactor: 1 }]);
  await until('the console is there', async () => (await state(gateway)).data?.console?.available, 60_000, 200);
  const client = gateway.client(operator, { url: gateway.wsUrl.replace('/graphql', '/console/graphql') });
  const events = client.iterate({
    query: 'subscription { instances { service status } }',
    extensions: { from: 'earliest' },
  });
  const first = await events.next();
  assert.deepEqual(first.value?.data, { instances: { service: 'gateway', status: 'READY' } });
  await events.return?.();
  await client.dispose();
});

test('who is no operator gets FORBIDDEN, whether there is a topic or not', async () => {
  const gateway = await lab.gateway({ env: { PENSTOCK_FLEET_TOPIC: `fleet-${randomUUID()}` } });
  const refused = await stream(gateway, somebody);
  assert.equal(refused.errors?.[0]?.extensions.code, 'FORBIDDEN');
  const { errors } = await ask(gateway, somebody, '{ console { available } }');
  assert.equal(errors?.[0]?.extensions.code, 'FORBIDDEN');
});

test('with an empty name there is no console, and it says how to turn it on', async () => {
  const gateway = await lab.gateway({ env: { PENSTOCK_FLEET_TOPIC: '' } });
  const { data } = await state(gateway);
  assert.equal(data?.console?.available, false);
  assert.match(data?.console?.advice ?? '', /PENSTOCK_FLEET_TOPIC is empty/);
  assert.equal((await stream(gateway, operator)).status, 503);
});
