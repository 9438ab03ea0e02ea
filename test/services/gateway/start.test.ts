// starts first: servers are away for it
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { openEvents } from '../../support/events.ts';
import { type GatewayLab, openGatewayLab, type TestGateway, testSchema, userIn } from '../../support/gateway.ts';
import { openRawSocket } from '../../support/raw-socket.ts';
import { kafkaAddress } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

let lab: GatewayLab;

before(async () => {
  lab = await openGatewayLab();
});

after(() => lab.close());

async function reasons(gateway: TestGateway): Promise<Record<string, string>> {
  const response = await fetch(`${gateway.admin}/readyz`);
  const body = (await response.json()) as { reasons?: Record<string, string> };
  assert.equal(response.status, body.reasons ? 503 : 200);
  return body.reasons ?? {};
}

/** A way to a server that the test can shut and open: what is absent at start, or goes away. */
async function gate(target: string) {
  const [host = '', port = ''] = target.split(':');
  const open = new Set<net.Socket>();
  let shut = true;
  const server = net.createServer(near => {
    if (shut) return near.destroy();
    const far = net.connect(Number(port), host);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket);
      socket
        .on('error', () => {})
        .on('close', () => {
          open.delete(socket);
          other.destroy();
        });
      socket.pipe(other);
    }
    return undefined;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    open() {
      shut = false;
    },
    shut() {
      shut = true;
      for (const socket of open) socket.destroy();
    },
    close() {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}

test('a topic that does not exist is refused at start, with file, line and reason', async () => {
  const schema = testSchema({ ...lab.topics, commands: 'no-such-topic' });
  const gateway = await lab.gateway({ env: { PENSTOCK_SCHEMA: schema }, waitUntilReady: false });
  const [code] = await once(gateway.process, 'exit');
  assert.equal(code, 1);
  assert.match(gateway.log(), /PENSTOCK_SCHEMA:\d+:\d+: topic \\"no-such-topic\\" does not exist/);
});

test('missing topics are created where that is configured: for ever, with the append time', async () => {
  const schema = testSchema({
    commands: `${lab.topics.commands}-new`,
    feedback: `${lab.topics.feedback}-new`,
    notes: `${lab.topics.notes}-new`,
  });
  const env = { PENSTOCK_SCHEMA: schema, PENSTOCK_KAFKA_CREATE_TOPICS: 'true', PENSTOCK_KAFKA_PARTITIONS: '3' };
  const gateway = await lab.gateway({ env: { ...env, PENSTOCK_OWNERSHIP_GROUP: lab.kafka.group() } });
  assert.equal(await lab.kafka.topics.partitionCount(`${lab.topics.notes}-new`), 3);
  await gateway.stop();
  for (const name of Object.values(lab.topics)) await lab.kafka.remove(`${name}-new`);
});

test('Redis and PostgreSQL may be absent at start and go away later: it says so, lives on, and recovers', async () => {
  const redis = await gate(new URL(process.env.TEST_REDIS ?? '').host);
  const postgres = await gate(new URL(process.env.TEST_POSTGRES ?? '').host);
  const postgresUrl = new URL(process.env.TEST_POSTGRES ?? '');
  postgresUrl.host = postgres.address;
  const gateway = await lab.gateway({
    env: { PENSTOCK_REDIS_URL: `redis://${redis.address}`, PENSTOCK_POSTGRES_URL: postgresUrl.href },
    waitUntilReady: false,
  });
  const token = await lab.accessToken(userIn(0));
  const said = (names: string) => async () =>
    Object.keys(await reasons(gateway))
      .sort()
      .join() === names;
  await until('it misses both', said('postgres,redis'), 20_000);
  const query = async () => (await gateway.post(token, { query: '{ notes { n } }' })).json();
  const { errors } = (await query()) as { errors: { extensions: { code: string } }[] };
  assert.equal(errors[0]?.extensions.code, 'UNAVAILABLE');
  for (let round = 0; round < 2; round++) {
    redis.open();
    postgres.open();
    await until('it is ready', said(''), 20_000);
    redis.shut();
    postgres.shut();
    await until('it misses both again', said('postgres,redis'), 20_000);
  }
  assert.equal(await gateway.stop(), 0);
  redis.close();
  postgres.close();
});

test('without Kafka at start it lives, says why it is not ready, and closes WebSockets with 1013', async () => {
  const nowhere = await gate(kafkaAddress());
  const gateway = await lab.gateway({ env: { PENSTOCK_KAFKA_BROKERS: nowhere.address }, waitUntilReady: false });
  await until('it misses Kafka', async () => (await reasons(gateway)).kafka?.includes('away'), 20_000);
  const token = await lab.accessToken(userIn(0));
  const response = await gateway.post(token, { query: '{ __typename }' });
  assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '1']);
  const socket = await openRawSocket(gateway.wsUrl);
  assert.equal((await socket.closed()).code, 1013);
  nowhere.open();
  await until('it is ready', async () => Object.keys(await reasons(gateway)).length === 0, 20_000);
  assert.equal((await gateway.post(token, { query: '{ __typename }' })).status, 200);
  assert.equal(await gateway.stop(), 0);
  nowhere.close();
});

test('SIGTERM before Kafka has answered ends it with 0', async () => {
  const nowhere = await gate(kafkaAddress());
  const gateway = await lab.gateway({ env: { PENSTOCK_KAFKA_BROKERS: nowhere.address }, waitUntilReady: false });
  await until('it misses Kafka', async () => (await reasons(gateway)).kafka);
  assert.equal(await gateway.stop(), 0);
  nowhere.close();
});

test('beyond its limit of connections a WebSocket is closed with 1013, and an event stream refused', async () => {
  const gateway = await lab.gateway({ env: { PENSTOCK_GATEWAY_MAX_CONNECTIONS: '2' } });
  const token = await lab.accessToken(userIn(0));
  const sockets = await Promise.all([openRawSocket(gateway.wsUrl), openRawSocket(gateway.wsUrl)]);
  await Promise.all(sockets.map(socket => socket.greet(token)));
  const third = await openRawSocket(gateway.wsUrl);
  assert.equal((await third.closed()).code, 1013);
  const query = { query: 'subscription { notes { n } }' };
  const streams = [await openEvents(gateway.url, token, query), await openEvents(gateway.url, token, query)];
  const refused = await gateway.post(token, query, { accept: 'text/event-stream' });
  assert.equal(refused.status, 429);
  assert.match(refused.headers.get('retry-after') ?? '', /^[1-5]$/);
  assert.match(await refused.text(), /LIMIT_EXCEEDED/);
  for (const stream of streams) stream.close();
  for (const { socket } of sockets) socket.terminate();
  assert.equal(await gateway.stop(), 0);
});
