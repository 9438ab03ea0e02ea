import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type EventSource, openEvents } from '../../../support/events.ts';
import { answerCommands, type GatewayLab, openGatewayLab, type TestGateway, userIn } from '../../../support/gateway.ts';
import { until } from '../../../support/until.ts';

let lab: GatewayLab;
let gateway: TestGateway;
let handler: Awaited<ReturnType<typeof answerCommands>>;
const open = new Set<EventSource>();

before(async () => {
  lab = await openGatewayLab();
  [gateway, handler] = await Promise.all([lab.gateway(), answerCommands(lab)]);
});

after(async () => {
  for (const events of open) events.close();
  await handler.close();
  await lab.close();
});

async function events(token: string, body: object, headers: Record<string, string> = {}): Promise<EventSource> {
  const source = await openEvents(gateway.url, token, body, headers);
  open.add(source);
  return source;
}

const numbers = ({ all }: EventSource) =>
  all.filter(({ event }) => event === 'next').map(({ data }) => data.data.notes.n);

test('a ping with a cursor comes at once, then each event with its cursor, and pings go on', async () => {
  const alice = userIn(0);
  const source = await events(await lab.accessToken(alice), { query: 'subscription { notes { n } }' });
  await until('the first ping', () => source.all.length > 0);
  assert.equal(source.all[0]?.event, 'ping');
  assert.ok(source.all[0]?.id);
  for (const n of [1, 2]) await lab.note(alice, n);
  await until('both notes', () => numbers(source).length === 2);
  const next = source.all.filter(({ event }) => event === 'next');
  assert.deepEqual(numbers(source), [1, 2]);
  for (const { id, data } of next) assert.equal(id, data.extensions.cursor);
  const seen = source.all.length;
  await until('another ping', () => source.all.slice(seen).some(({ event }) => event === 'ping'));
  assert.equal(source.all.at(-1)?.id, next.at(-1)?.id, 'nothing has moved');
});

test('a ping moves while others are written to, or nothing matches', async () => {
  const alice = userIn(1);
  const bob = userIn(1);
  const source = await events(await lab.accessToken(alice), { query: 'subscription { notes(min: 100) { n } }' });
  const first = await until('the first ping', () => source.all[0]?.id);
  await lab.note(bob, 1);
  await until('a ping further on', () => source.all.at(-1)?.id !== first && source.all.at(-1)?.id);
  const second = source.all.at(-1)?.id;
  await lab.note(alice, 2);
  await until('a ping further on', () => source.all.at(-1)?.id !== second);
  assert.deepEqual(numbers(source), []);
});

test('Last-Event-ID resumes, and goes before extensions.cursor', async () => {
  const alice = userIn(2);
  const token = await lab.accessToken(alice);
  const query = 'subscription { notes { n } }';
  for (const n of [1, 2, 3, 4]) await lab.note(alice, n);
  const source = await events(token, { query, extensions: { from: 'earliest' } });
  await until('all notes', () => numbers(source).length === 4);
  source.close();
  const idOf = (n: number) => source.all.find(({ data }) => data.data?.notes.n === n)?.id ?? '';
  const resumed = await events(token, { query }, { 'last-event-id': idOf(2) });
  const both = await events(token, { query, extensions: { cursor: idOf(1) } }, { 'last-event-id': idOf(3) });
  const byCursor = await events(token, { query, extensions: { cursor: idOf(1), from: 'earliest' } });
  await lab.note(alice, 5);
  await until('the last note', () => [resumed, both, byCursor].every(stream => numbers(stream).includes(5)));
  assert.deepEqual(numbers(resumed), [3, 4, 5]);
  assert.deepEqual(numbers(both), [4, 5]);
  assert.deepEqual(numbers(byCursor), [2, 3, 4, 5]);
});

test('what refuses a subscription is a next with the error, then complete', async () => {
  const token = await lab.accessToken(userIn(0));
  const table: readonly [object, string][] = [
    [{ query: 'subscription { nothing }' }, 'BAD_USER_INPUT'],
    [{ query: 'subscription {' }, 'BAD_USER_INPUT'],
    [{ query: 'subscription { allNotes { n } }' }, 'FORBIDDEN'],
    [{ query: 'subscription { notes { n } }', extensions: { cursor: 'forged' } }, 'CURSOR_INVALID'],
    [{ query: 'subscription { notes { n } }', extensions: { from: 'yesterday' } }, 'BAD_USER_INPUT'],
  ];
  for (const [body, code] of table) {
    const source = await events(token, body);
    await source.ended;
    const [first, second, ...others] = source.all;
    assert.equal(first?.event, 'next');
    assert.equal(first?.data.errors[0].extensions.code, code);
    assert.equal(first?.id, undefined);
    assert.equal(second?.event, 'complete');
    assert.equal(others.length, 0);
  }
});

test('a command as a subscription gives each feedback, then completes', async () => {
  const query = 'subscription { say(text: "x", times: 3) { step } }';
  const source = await events(await lab.accessToken(userIn(0)), { query });
  await source.ended;
  const told = source.all
    .filter(({ event }) => event !== 'ping')
    .map(({ event, data }) => [event, data?.data?.say.step]);
  assert.deepEqual(told, [
    ['next', 1],
    ['next', 2],
    ['next', 3],
    ['complete', undefined],
  ]);
});

test('who accepts nothing but events gets the result of a query or mutation as one', async () => {
  const source = await events(await lab.accessToken(userIn(0)), { query: 'mutation { say(text: "x") { text } }' });
  await source.ended;
  assert.deepEqual(
    source.all.map(({ event, data }) => [event, data]),
    [
      ['next', { data: { say: { text: 'x' } } }],
      ['complete', undefined],
    ],
  );
});

test('the stream ends when the access token expires, and says so', async () => {
  const now = Math.floor(Date.now() / 1_000);
  const token = await lab.accessToken(userIn(0), { exp: now + 2 });
  const source = await events(token, { query: 'subscription { notes { n } }' });
  await source.ended;
  const [refusal, end] = source.all.slice(-2);
  assert.deepEqual(
    [refusal?.data.errors[0].extensions, end?.event],
    [{ code: 'UNAUTHENTICATED', reason: 'expired' }, 'complete'],
  );
});

test('a client that goes away leaves nothing behind', async () => {
  const scope = 'penstock_gateway_subscriptions{scope="OWN"}';
  for (const source of open) source.close();
  await until('nobody is subscribed', async () => (await gateway.metric(scope)) === 0);
  const source = await events(await lab.accessToken(userIn(0)), { query: 'subscription { notes { n } }' });
  await until('one is subscribed', async () => (await gateway.metric(scope)) === 1);
  assert.equal(await gateway.metric('penstock_gateway_connections'), 1);
  source.close();
  await until('nobody is subscribed', async () => (await gateway.metric(scope)) === 0);
  assert.equal(await gateway.metric('penstock_gateway_connections'), 0);
});
