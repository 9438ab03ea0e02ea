// runs apart: it kills gateways of a stack of its own
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type Client, createClient, OperationError } from '@penstock/client';
import { WebSocket } from 'ws';
import { backUp } from '../chaos/whole.ts';
import { type BankClient, openBank } from '../client/bank.ts';
import { dumpTopic, testKafka } from '../support/dump.ts';
import { logIn } from '../support/log-in.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const instances = `subscription {
  instances {
    key publishedAt instance service version status intervalMs memoryBytes cpu reasons { part reason }
    gateway {
      partitionCount connections deliveredPerSecond lagRecords lagSeconds
      partitions { number state epoch sessions lagRecords lagSeconds }
      replays { tier count } handoffs { partition epoch at seconds }
    }
    router { connections waiting routedPerSecond }
    commandHandler { partitions commandsPerSecond verdicts { type verdict count } outboxRecords outboxSeconds lagRecords }
    projector { lagRecords lagSeconds topics { topic lagRecords } }
  }
}`;

interface Partition {
  number: number;
  state: string;
  epoch: number | null;
  sessions: number;
  lagRecords: number | null;
}

interface Instance {
  key: string;
  instance: string;
  service: string;
  status: string;
  memoryBytes: number;
  gateway: {
    connections: number;
    partitions: Partition[];
    deliveredPerSecond: number | null;
    lagRecords: number | null;
    replays: { tier: string; count: number }[];
    handoffs: { partition: number; epoch: number; seconds: number }[];
  } | null;
  router: { connections: number } | null;
  commandHandler: { partitions: number; verdicts: { type: string; verdict: string; count: number }[] } | null;
  projector: { lagRecords: number | null } | null;
}

let stack: Stack;
const opened: { close(): unknown }[] = [];

before(async () => {
  stack = await startStack({ gateways: 2, env: { PENSTOCK_FLEET_INTERVAL_MS: '500' } });
});

after(async () => {
  for (const client of opened) await client.close();
  await stack?.stop();
});

/** A client of the console: its schema is beside the app's, under /console. */
function consoleOf(user: string, url = stack.url, webSocket?: unknown): Client {
  const client = createClient({
    url: `${url}/console`,
    getToken: () => logIn(url, user),
    ...(webSocket !== undefined && { webSocket }),
  });
  opened.push(client);
  return client;
}

/** The newest state of each process. */
function watch(client: Client) {
  const newest = new Map<string, Instance>();
  const state: { error?: unknown; cursor?: string | undefined; count: number } = { count: 0 };
  void (async () => {
    for await (const { data, cursor } of client.subscribe<{ instances: Instance }>({
      query: instances,
      from: 'earliest',
    })) {
      newest.set(data.instances.key, data.instances);
      state.count++;
      state.cursor = cursor;
    }
  })().catch(error => {
    state.error = error;
  });
  return {
    state,
    newest,
    of: (service: string) => [...newest.values()].filter(one => one.service === service && one.status !== 'GONE'),
    owned: (name: string) =>
      newest.get(`gateway/${name}`)?.gateway?.partitions.filter(({ state }) => state === 'OWNED') ?? [],
  };
}

async function post(user: string, path: string, body: object): Promise<Response> {
  return fetch(stack.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${await logIn(stack.url, user)}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

async function customer(name = `user-${randomUUID()}`): Promise<BankClient> {
  const client = await openBank(stack.url, name, { webSocket: WebSocket });
  opened.push(client);
  return client;
}

test('an operator sees every process, and every partition with its owner, epoch, sessions and lag', async () => {
  const seen = watch(consoleOf('operator', stack.url, WebSocket));
  const all = Array.from({ length: stack.partitions }, (_, number) => number);
  await until(
    () => `all partitions are owned: ${JSON.stringify([...seen.newest.values()])} ${seen.state.error}`,
    () => {
      const owned = [...seen.owned('gateway-0'), ...seen.owned('gateway-1')].map(({ number }) => number);
      return owned.length === all.length && new Set(owned).size === all.length;
    },
  );
  for (const name of stack.processes().map(({ service, name }) => `${service}/${name}`)) {
    const instance = await until(`${name} is ready`, () => {
      const found = seen.newest.get(name);
      return found?.status === 'READY' ? found : undefined;
    });
    assert.ok(instance.memoryBytes > 10_000_000);
  }
  const [partition] = seen.owned('gateway-0');
  assert.ok((partition?.epoch ?? 0) > 0);
  await until('lag is known', () => seen.owned('gateway-0').every(({ lagRecords }) => lagRecords === 0));
  assert.deepEqual(
    seen.newest.get('gateway/gateway-0')?.gateway?.replays.map(({ tier }) => tier),
    ['memory', 'redis', 'kafka'],
  );
  assert.equal(
    seen.newest.get('gateway/gateway-0')?.gateway?.handoffs.length,
    seen.newest.get('gateway/gateway-0')?.gateway?.handoffs.filter(({ epoch, seconds }) => epoch > 0 && seconds >= 0)
      .length,
  );
});

test('sessions, deliveries, commands and connections are counted', async () => {
  const seen = watch(consoleOf('operator', stack.url, WebSocket));
  const client = await customer();
  void (async () => {
    for await (const _ of client.subscribe({ query: 'subscription { transactions { id } }' }));
  })().catch(() => undefined);
  await until('the router shows connections', () =>
    seen.of('router').some(({ router }) => (router?.connections ?? 0) > 0),
  );
  let amount = 1;
  await until('deliveries a second are shown', async () => {
    await client.pay(amount++);
    return seen.of('gateway').some(({ gateway }) => (gateway?.deliveredPerSecond ?? 0) > 0);
  });
  await until('the command handler shows verdicts', () =>
    seen
      .of('command-handler')
      .some(({ commandHandler }) =>
        commandHandler?.verdicts.some(({ type, count }) => type === 'transferMoney' && count > 0),
      ),
  );
  await until('the partition shows its session', () =>
    seen
      .of('gateway')
      .some(({ gateway }) => gateway?.partitions.some(({ state, sessions }) => state === 'OWNED' && sessions > 0)),
  );
});

test('the console needs the role operator: streams and queries are FORBIDDEN to others, without a token nobody is served', async () => {
  const stream = consoleOf('somebody', stack.url, WebSocket).subscribe({ query: instances });
  await assert.rejects(
    stream.next(),
    (error: unknown) => error instanceof OperationError && error.code === 'FORBIDDEN',
  );
  for (const query of ['{ console { available } }', '{ sessions(user: "x") { connections } }']) {
    const { errors } = await consoleOf('somebody').query({ query });
    assert.equal(errors?.[0]?.extensions?.code, 'FORBIDDEN');
  }
  for (const path of ['/console/graphql', '/console/route', '/console/local/kill']) {
    assert.equal((await fetch(stack.url + path, { method: 'POST', body: '{}' })).status, 401, path);
  }
  assert.equal((await fetch(`${stack.url}/console/settings`)).status, 401);
});

test("the app's schema is not served at the console's path, nor the console's at the app's", async () => {
  const { errors } = await consoleOf('operator').query({ query: '{ account { iban } }' });
  assert.equal(errors?.[0]?.extensions?.code, 'BAD_USER_INPUT');
  const response = await post('operator', '/graphql', { query: '{ console { available } }' });
  assert.equal(response.status, 200);
  assert.match(await response.text(), /BAD_USER_INPUT/);
});

test('events come over SSE as well, and a cursor goes on behind the event that carried it', async () => {
  // In this process there is a global WebSocket or there is none: what is not a constructor is not used.
  const seen = watch(consoleOf('operator', stack.url, null));
  await until('states come over SSE', () => seen.state.count > 5);
  const cursor = seen.state.cursor ?? '';
  const headers = {
    authorization: `Bearer ${await logIn(stack.url, 'operator')}`,
    accept: 'text/event-stream',
    'content-type': 'application/json',
    'last-event-id': cursor,
  };
  const body = JSON.stringify({ query: 'subscription { instances { key publishedAt } }' });
  const response = await fetch(`${stack.url}/console/graphql`, { method: 'POST', headers, body });
  // Of other arguments, or another selection, it is the same stream.
  assert.equal(response.status, 200);
  await response.body?.cancel();
});

test("a user is found: his partition's owner tells of his sessions", async () => {
  const name = `user-${randomUUID()}`;
  const client = await customer(name);
  void (async () => {
    for await (const _ of client.subscribe({ query: 'subscription { transactions { id } }' }));
  })().catch(() => undefined);
  const ask = async (partition: number) => {
    const response = await post('operator', `/console/graphql?partition=${partition}`, {
      query: 'query($user: String!) { sessions(user: $user) { partition instance tenure connections } }',
      variables: { user: name },
    });
    return (
      (await response.json()) as { data: { sessions: { partition: number; tenure: string; connections: number } } }
    ).data.sessions;
  };
  const { partition } = await ask(0);
  const found = await until('the owner tells of one session', async () => {
    const answer = await ask(partition);
    return answer.connections === 1 ? answer : undefined;
  });
  assert.equal(found.tenure, 'OWNED');
});

test('a gateway that is killed leaves the console, its partitions are seen at the other one, and it comes back', async () => {
  const seen = watch(consoleOf('operator', stack.url, WebSocket));
  await until('both are there', () => seen.of('gateway').length === 2);
  await stack.down('gateway-1');
  await until('its partitions have a new owner', () => seen.owned('gateway-0').length === stack.partitions);
  const handoffs = seen.newest.get('gateway/gateway-0')?.gateway?.handoffs ?? [];
  assert.ok(handoffs.some(({ epoch }) => epoch > 1));
  assert.ok(handoffs.length <= 50);
  await until('it is gone', () => seen.newest.get('gateway/gateway-1')?.status === 'GONE', 60_000);
  await stack.up('gateway-1');
  await until('it is back with partitions', () => seen.owned('gateway-1').length > 0, 60_000);
});

test('a gateway that is drained leaves at once, and says that it drains where that takes its time', async () => {
  await stack.scale({ gateway: 3 });
  const client = consoleOf('operator', stack.url, WebSocket);
  const statuses: string[] = [];
  void (async () => {
    for await (const { data } of client.subscribe<{ instances: Instance }>({ query: instances, from: 'earliest' })) {
      if (data.instances.key === 'gateway/gateway-2' && statuses.at(-1) !== data.instances.status) {
        statuses.push(data.instances.status);
      }
    }
  })().catch(() => undefined);
  await until('it is there', () => statuses.at(-1) === 'READY');
  await stack.scale({ gateway: 2 });
  await until(
    () => `it has gone: ${statuses}`,
    () => statuses.at(-1) === 'GONE',
  );
  // Without clients it may have gone before another state of it was due.
  assert.match(statuses.join(), /READY,(DRAINING,)?GONE$/);
});

test('no user data is in the topic', async () => {
  const name = `secret-${randomUUID()}`;
  const client = await customer(name);
  await client.pay(4_711);
  const records = await dumpTopic(testKafka(stack.kafka), 'penstock_fleet');
  assert.ok(records.length > 20);
  const text = JSON.stringify(records);
  for (const data of [name, client.iban, client.secret, 'operator', '"test"']) assert.ok(!text.includes(data), data);
});

test('the local stack kills a gateway for an operator, and for nobody else', async () => {
  const before = stack.process('gateway-0').pid;
  assert.equal((await post('somebody', '/console/local/kill', {})).status, 403);
  assert.equal((await post('operator', '/console/local/kill', { instance: 'router-0' })).status, 409);
  assert.equal((await post('operator', '/console/local/kill', { pid: 1 })).status, 400);
  assert.deepEqual(await (await post('operator', '/console/local/kill', { instance: 'gateway-0' })).json(), {
    killed: 'gateway-0',
  });
  await backUp(stack, 'gateway-0', before);
  const headers = { authorization: `Bearer ${await logIn(stack.url, 'operator')}` };
  assert.deepEqual(await (await fetch(`${stack.url}/console/settings`, { headers })).json(), { local: true });
});
