import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { Client, ExecutionResult } from 'graphql-ws';
import { partitionOf } from '../../../../lib/kafka/index.ts';
import {
  answerCommands,
  type GatewayLab,
  openGatewayLab,
  partitions,
  type TestGateway,
  userIn,
} from '../../../support/gateway.ts';
import { openRawSocket } from '../../../support/raw-socket.ts';
import { until } from '../../../support/until.ts';

let lab: GatewayLab;
let gateway: TestGateway;
let handler: Awaited<ReturnType<typeof answerCommands>>;
const clients: Client[] = [];

before(async () => {
  lab = await openGatewayLab();
  [gateway, handler] = await Promise.all([
    lab.gateway({
      env: {
        PENSTOCK_GATEWAY_MAX_COMMANDS: '800',
        PENSTOCK_GATEWAY_MAX_SUBSCRIPTIONS: '1000',
        PENSTOCK_LOG_LEVEL: 'debug',
      },
    }),
    answerCommands(lab),
  ]);
});

after(async () => {
  for (const client of clients) await client.dispose();
  await handler.close();
  await lab.close();
});

function connected(token: string): Client {
  const client = gateway.client(token, { lazyCloseTimeout: 1_000 });
  clients.push(client);
  return client;
}

function run(client: Client, query: string, variables: Record<string, unknown> = {}): Promise<ExecutionResult> {
  return new Promise((resolve, reject) => {
    let last: ExecutionResult = {};
    const next = (result: object) => {
      last = result;
    };
    client.subscribe({ query, variables }, { next, error: reject, complete: () => resolve(last) });
  });
}

const say = 'mutation($id: ID, $text: String!) { say(commandId: $id, text: $text) { commandId text } }';

test('a command lies in the partition of its user, with its arguments as they were given, defaults included', async () => {
  const alice = userIn(3);
  const commandId = randomUUID();
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const body = { query: say, variables: { id: commandId.toUpperCase(), text: 'grüße' } };
  const response = await gateway.post(await lab.accessToken(alice), body, { traceparent });
  assert.deepEqual(await response.json(), { data: { say: { commandId, text: 'grüße' } } });
  const command = handler.seen.find(({ headers }) => headers.ce_id === commandId);
  assert.ok(command);
  assert.equal(command.key, alice);
  assert.equal(command.partition, partitionOf(alice, partitions));
  assert.deepEqual(command.value, { commandId: commandId.toUpperCase(), text: 'grüße', times: 1 });
  assert.equal(command.headers.ce_type, 'say');
  assert.match(command.headers.traceparent ?? '', /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)/);
  assert.match(gateway.log(), new RegExp(`"commandId":"${commandId}".*0af7651916cd43dd8448eb211c80319c`));
});

test('the same command again gets the verdict that is published again, though its sequence number has passed', async () => {
  const alice = userIn(0);
  const client = connected(await lab.accessToken(alice));
  const id = randomUUID();
  for (let attempt = 0; attempt < 3; attempt++) {
    const { data } = await run(client, say, { id, text: 'x' });
    assert.deepEqual(data, { say: { commandId: id, text: 'x' } });
  }
});

test('two that wait for the same command both get its verdict', async () => {
  const alice = userIn(1);
  const token = await lab.accessToken(alice);
  const variables = { id: randomUUID(), text: 'x' };
  const [first, second] = await Promise.all([
    run(connected(token), say, variables),
    gateway.post(token, { query: say, variables }).then(response => response.json()),
  ]);
  assert.deepEqual(first, second);
});

test("another user's feedback is nobody else's, even under the same command id", async () => {
  const [alice, bob] = [userIn(2), userIn(2)];
  const commandId = randomUUID();
  const pending = gateway.post(await lab.accessToken(alice), { query: 'mutation { sayLater(text: "x") { text } }' });
  await until('the command', () => handler.seen.some(({ key }) => key === alice));
  const sent = handler.seen.find(({ key }) => key === alice)?.headers.ce_id ?? commandId;
  const value = JSON.stringify({ commandId: sent, success: true, text: 'forged' });
  const at = { topic: lab.topics.feedback, partition: 2 };
  await lab.lanes.send(at, { key: bob, value, headers: { ce_commandid: sent } });
  const { errors } = (await (await pending).json()) as { errors: { extensions: object }[] };
  assert.deepEqual(errors[0]?.extensions, { code: 'COMMAND_PENDING', commandId: sent });
});

test('a command id that is no UUID is refused before anything is sent', async () => {
  const before = handler.seen.length;
  const { errors } = await run(connected(await lab.accessToken(userIn(0))), say, { id: 'mine', text: 'x' });
  assert.equal(errors?.[0]?.extensions?.code, 'BAD_USER_INPUT');
  assert.equal(handler.seen.length, before);
});

test('feedback that does not fit its type is an error of ours, not of the caller', async () => {
  const alice = userIn(3);
  const at = { topic: lab.topics.feedback, partition: 3 };
  const socket = await openRawSocket(gateway.wsUrl);
  await socket.greet(await lab.accessToken(alice));
  const query = 'mutation { sayLater(text: "x") { text } }';
  socket.send({ id: 'x', type: 'subscribe', payload: { query } });
  const sent = await until('the command', () => handler.seen.find(({ key }) => key === alice));
  await lab.lanes.send(at, { key: alice, value: '{}', headers: { ce_commandid: sent.headers.ce_id ?? '' } });
  const next = await until('the answer', () => socket.received.find(({ type }) => type === 'next'));
  assert.equal(next.payload.errors[0].extensions.code, 'INTERNAL');
  socket.socket.terminate();
});

test('hundreds of commands in flight each get their own verdict', async () => {
  const users = Array.from({ length: 20 }, (_, index) => userIn(index % partitions));
  const answers = await Promise.all(
    users.map(async user => {
      const client = connected(await lab.accessToken(user));
      return Promise.all(
        Array.from({ length: 30 }, async (_, index) => {
          const { data } = await run(client, 'mutation($text: String!) { say(text: $text) { text } }', {
            text: `${user} ${index}`,
          });
          return JSON.stringify(data) === JSON.stringify({ say: { text: `${user} ${index}` } });
        }),
      );
    }),
  );
  assert.equal(answers.flat().filter(Boolean).length, 600);
  assert.equal(await gateway.metric('penstock_gateway_commands_in_flight'), 0);
});

test('beyond the limit of commands in flight the next is refused, not queued', async () => {
  const client = connected(await lab.accessToken(userIn(0)));
  const query = 'subscription { say(text: "x", times: 0) { step } }';
  const refusals: unknown[] = [];
  const error = (errors: unknown) =>
    void refusals.push((errors as { extensions: { code: string } }[])[0]?.extensions.code);
  const sink = { next: () => assert.fail('nothing comes'), error, complete: () => {} };
  const stops = Array.from({ length: 810 }, () => client.subscribe({ query }, sink));
  await until('ten refusals', () => refusals.length >= 10);
  assert.equal(await gateway.metric('penstock_gateway_commands_in_flight'), 800);
  for (const stop of stops) stop();
  assert.deepEqual(new Set(refusals), new Set(['LIMIT_EXCEEDED']));
  assert.equal(refusals.length, 10);
  await until('none is in flight', async () => (await gateway.metric('penstock_gateway_commands_in_flight')) === 0);
});

test('a subscription that is completed early stops waiting', async () => {
  const alice = userIn(1);
  const client = connected(await lab.accessToken(alice));
  const stop = client.subscribe(
    { query: 'subscription { say(text: "x", times: 0) { step } }' },
    { next: () => assert.fail('nothing comes'), error: assert.fail, complete: () => {} },
  );
  await until('it is in flight', async () => (await gateway.metric('penstock_gateway_commands_in_flight')) === 1);
  stop();
  await until('it is not', async () => (await gateway.metric('penstock_gateway_commands_in_flight')) === 0);
});

test('SIGTERM answers what is in flight with COMMAND_PENDING and ends with 0', async () => {
  const other = await lab.gateway({ env: { PENSTOCK_OWNERSHIP_HANDOVER_WINDOW_MS: '50' } });
  const token = await lab.accessToken(userIn(0));
  const seen = handler.seen.length;
  const id = randomUUID();
  const query = `mutation { say(commandId: "${id}", text: "x", times: 0) { text } }`;
  const answer = other.post(token, { query }).then(response => response.json());
  await until('the command', () => handler.seen.length > seen);
  assert.equal(await other.stop(), 0);
  const { errors } = (await answer) as { errors: { extensions: object }[] };
  assert.deepEqual(errors[0]?.extensions, { code: 'COMMAND_PENDING', commandId: id });
});
