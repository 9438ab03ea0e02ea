import { Redis } from 'ioredis';
import { connectKafka, openLanes } from '../../lib/kafka/index.ts';
import { account, collector, transactions, transferMoney, verdictOf } from '../support/bank.ts';
import { openEvents } from '../support/events.ts';
import { quietOps } from '../support/quiet-ops.ts';
import { kafkaConfig } from '../support/scratch-kafka.ts';
import type { Stack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { openUser, type User } from '../support/user.ts';

/**
 * Does what a client does: opens an account, subscribes over WebSocket and SSE, pays in, goes away and comes back by cursor. Returns a
 * cursor from before its last event.
 */
export async function beAClient(stack: Stack, name: string): Promise<string> {
  const user = await openUser(stack.url, name);
  const events = collector();
  try {
    const { iban, token } = await account(user);
    const stream = user.subscribe({ query: transactions }, events);
    await until(`${name} has a cursor`, () => stream.cursor());
    await pay(user, iban, token);
    await until(`${name} sees the payment`, () => events.got.length === 1);
    const cursor = stream.cursor() ?? '';
    stream.stop();
    await pay(user, iban, token);
    const back = collector();
    const again = user.subscribe({ query: transactions, extensions: { cursor } }, back);
    await until(`${name} sees what it missed`, () => back.got.length === 1);
    again.stop();
    const sse = await openEvents(stack.url, user.accessToken(), { query: transactions, extensions: { cursor } });
    await until(`${name} sees it over SSE`, () => sse.all.some(({ data }) => data?.data?.transactions !== undefined));
    sse.close();
    await user.post('{ account { iban balance } transactions(first: 2) { edges { node { id } } } }');
    return cursor;
  } finally {
    await user.close();
  }
}

/** Kills all gateways, and waits until others run: nothing is in their memory. */
export async function killGateways(stack: Stack): Promise<void> {
  const gateways = stack.processes().filter(({ service }) => service === 'gateway');
  for (const gateway of gateways) stack.kill(gateway.name);
  await until('all gateways are others', () => {
    const now = stack.processes().filter(({ service }) => service === 'gateway');
    return now.length === gateways.length && now.every(({ pid }) => gateways.every(before => before.pid !== pid));
  });
}

/** Empties Redis: what its owners still have in memory is written there again, and nothing else. */
export async function emptyRedis(stack: Stack): Promise<void> {
  const redis = new Redis(stack.redis);
  await redis.flushall();
  redis.disconnect();
}

/** Comes back by a cursor with one event behind it. */
export async function comeBack(stack: Stack, name: string, cursor: string): Promise<void> {
  const user = await openUser(stack.url, name);
  const back = collector();
  user.subscribe({ query: transactions, extensions: { cursor } }, back);
  await until(`${name} sees what it missed`, () => back.got.length === 1);
  await user.close();
}

async function pay(user: User, iban: string, token: string): Promise<void> {
  const answer = await user.mutate(transferMoney, { token, amount: 100, from: 'cash', to: iban });
  if (!verdictOf(answer).success) throw new Error(`${user.name}: ${JSON.stringify(answer)}`);
}

/** Sends a document that a limit refuses. */
export async function beRefused(stack: Stack, name: string): Promise<void> {
  const user = await openUser(stack.url, name);
  const levels = 30;
  const { errors } = await user.post(
    `{ __schema { types { fields { type ${'{ ofType '.repeat(levels)} { name } ${'}'.repeat(levels)} } } } }`,
  );
  if (errors?.[0]?.extensions?.code !== 'LIMIT_EXCEEDED') throw new Error(`not refused: ${JSON.stringify(errors)}`);
  await user.close();
}

/**
 * Writes a command that nobody can be answered for, and an event that fits no type, while an auditor streams the ledger. What they see
 * is not waited for.
 */
export async function writePoison(stack: Stack): Promise<void> {
  const { kafkaCaFile } = stack;
  const connection = connectKafka({ ...kafkaConfig(stack.kafka), tlsCaFile: kafkaCaFile }, quietOps());
  const lanes = openLanes(connection, { bufferBytes: 1_000_000 });
  await lanes.send({ topic: 'commands', partition: 0 }, { key: 'nobody\u0000', value: '{}' });
  await lanes.send({ topic: 'balance_changed', partition: 0 }, { key: 'somebody', value: 'not JSON' });
  await lanes.close();
  await connection.close();
}

/** Streams the ledger until closed. */
export async function audit(stack: Stack): Promise<{ close(): Promise<void> }> {
  const auditor = await openUser(stack.url, 'auditor');
  const stream = auditor.subscribe({ query: 'subscription { ledger { id } }' }, collector('ledger'));
  await until('the auditor has a cursor', () => stream.cursor());
  return auditor;
}
