// runs apart: a stack of its own, whose services send traces
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { filesOf } from '../../dev/stack/folder.ts';
import {
  type Account,
  account,
  collector as eventsOf,
  transactions,
  transferMoney,
  verdictOf,
} from '../support/bank.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { openStockUser } from '../support/stock-client.ts';
import { openTraceCollector, type TraceCollector, traceTree } from '../support/trace-collector.ts';
import { until } from '../support/until.ts';
import { type Answer, openUser, type User } from '../support/user.ts';

let collector: TraceCollector;
let stack: Stack;
let alice: User;
let hers: Account;
const seen = eventsOf();

before(async () => {
  collector = await openTraceCollector();
  stack = await startStack({
    ...{ gateways: 1, partitions: 6 },
    env: {
      PENSTOCK_TRACING_ENDPOINT: collector.url,
      PENSTOCK_TRACING_INTERVAL_MS: '50',
      PENSTOCK_TRACING_TIMEOUT_MS: '300',
      PENSTOCK_LOG_LEVEL: 'debug',
    },
  });
  alice = await openUser(stack.url, 'alice');
  hers = await account(alice);
  const stream = alice.subscribe({ query: transactions }, seen);
  await until('the stream has a cursor', () => stream.cursor() !== undefined);
});

after(async () => {
  await alice?.close();
  await stack?.stop();
  await collector?.close();
});

/** Pays in over HTTP. */
async function payIn(descr: string, traceparent?: string): Promise<void> {
  const response = await fetch(`${stack.url}/graphql`, {
    method: 'POST',
    headers: {
      ...{ 'content-type': 'application/json', authorization: `Bearer ${alice.accessToken()}` },
      ...(traceparent === undefined ? {} : { traceparent }),
    },
    body: JSON.stringify({
      query: transferMoney,
      variables: { ...hers, from: 'cash', to: hers.iban, amount: 1, descr },
    }),
  });
  assert.equal(verdictOf((await response.json()) as Answer).success, true);
}

/** Of spans that have come since `from`. */
async function spansSince(from: number, count: number) {
  const come = () => collector.spans.slice(from);
  await until(
    () => `${count} spans, and not\n${traceTree(come()).join('\n')}`,
    () => come().length >= count,
  );
  return come();
}

/** The way of a command, and of its feedback and event. */
const way = [
  'penstock-router: server POST /graphql',
  '  penstock-gateway: server mutation',
  '    penstock-gateway: producer send commands',
  '      penstock-command-handler: consumer process commands',
  '        penstock-command-handler: producer send balance_changed',
  '          penstock-gateway: consumer process balance_changed',
  '        penstock-command-handler: producer send money_transfer_feedback',
  '          penstock-gateway: consumer process money_transfer_feedback',
];

test('a command is one trace: router, gateway, Kafka, handler, Kafka and the gateway again', async () => {
  // What the preparations have caused is with the collector before.
  await payIn('before');
  await until(
    'its last span',
    () => collector.spans.filter(({ name }) => name === 'process balance_changed').length === 1,
  );
  const from = await quiet();
  await payIn('a secret of hers');
  const spans = await spansSince(from, way.length);
  assert.deepEqual(traceTree(spans), way);
  const [traceId] = new Set(spans.map(span => span.traceId));
  assert.equal(new Set(spans.map(span => span.traceId)).size, 1);
  const log = (name: string) => readFileSync(filesOf(stack.folder).log(name), 'utf8');
  await until('a log line with its id', () => log('gateway-0').includes(`"traceId":"${traceId}"`));

  const handled = spans.find(({ name }) => name === 'process commands')?.attributes;
  assert.equal(handled?.['cloudevents.event_type'], 'transferMoney');
  assert.equal(handled?.['penstock.verdict'], 'accepted');
  assert.equal(handled?.['messaging.consumer.group.name'], 'penstock-command-handler');
  const operation = spans.find(({ name }) => name === 'mutation')?.attributes;
  assert.equal(operation?.['graphql.operation.type'], 'mutation');
  const request = spans.find(({ name }) => name === 'POST /graphql')?.attributes;
  assert.equal(request?.['http.response.status_code'], 200);
  for (const span of spans) assert.equal(span.failed, false, span.name);
  for (const secret of ['alice', hers.token, hers.iban, alice.accessToken(), 'a secret of hers', 'transferMoney(']) {
    assert.equal(collector.text().includes(secret), false, secret);
  }
});

test("a client's own trace is gone on with, and one that it does not record is not recorded here either", async () => {
  const from = await quiet();
  const [silent, loud] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')];
  await payIn('not recorded', `00-${silent}-b7ad6b7169203331-00`);
  await until('the event', () => seen.got.some(({ descr }) => descr === 'not recorded'));
  await payIn('recorded', `00-${loud}-b7ad6b7169203331-01`);
  const spans = await spansSince(from, way.length);
  assert.deepEqual(traceTree(spans), way);
  assert.deepEqual([...new Set(spans.map(({ traceId }) => traceId))], [loud]);
  assert.equal(spans.find(({ name }) => name === 'POST /graphql')?.parentSpanId, 'b7ad6b7169203331');
});

test('operations of a WebSocket are spans of their own, below the upgrade', async () => {
  const from = await quiet();
  const stock = await openStockUser(stack.url, 'alice', { accessToken: alice.accessToken() });
  const answer = await stock.mutate(transferMoney, { ...hers, from: 'cash', to: hers.iban, amount: 1 });
  assert.equal(verdictOf(answer).success, true);
  const spans = await spansSince(from, way.length);
  await stock.close();
  assert.deepEqual(traceTree(spans), ['penstock-router: server GET /graphql', ...way.slice(1)]);
  const upgrade = spans.find(({ name }) => name === 'GET /graphql');
  assert.equal(upgrade?.attributes['http.response.status_code'], 101);
});

test('a collector that has died holds up nobody: spans are dropped and counted', async () => {
  await collector.close();
  await payIn('to nobody');
  const dropped = async (name: string): Promise<number> => {
    const text = await (await fetch(`${stack.process(name).admin}/metrics`)).text();
    return Number(/^penstock_traces_dropped_total\{reason="export"\} (\d+)$/m.exec(text)?.[1] ?? 0);
  };
  for (const name of ['router-0', 'gateway-0', 'command-handler-0']) {
    await until(`${name} has dropped spans`, async () => (await dropped(name)) > 0);
  }
  await payIn('to nobody again');
  const started = performance.now();
  assert.equal(await stack.stop(), 0);
  assert.ok(performance.now() - started < 30_000);
});

/** Resolves with the number of spans when no more of them come: those of a client that comes again belong to nobody's test. */
async function quiet(): Promise<number> {
  let count = -1;
  await until(
    'no more spans come',
    () => {
      const before = count;
      count = collector.spans.length;
      return before === count;
    },
    30_000,
    500,
  );
  return count;
}
