import pg from 'pg';
import { partitionOf } from '../../../lib/kafka/index.ts';
import {
  type OpenTransaction,
  openTransactionalProducer,
  type TransactionalProducer,
} from '../../support/transactional-producer.ts';
import { until } from '../../support/until.ts';
import { abortedHeaders } from '../truth.ts';
import { namesOf, pause } from '../whole.ts';
import { numberOf } from './records.ts';
import type { Fault, World } from './types.ts';

/** A producer that somebody else runs, with transactions: they commit, abort, and hang, and lie across each other. */
export const transactionFaults: readonly Fault[] = [{ name: 'transactions', inject }];

/** After which the brokers abort a transaction that hangs, ms; they look for such ones every 10 s. */
const transactionTimeoutMs = 4_000;
const endWithinMs = 60_000;

async function inject(world: World): Promise<void> {
  const { stack, random, log, signal } = world;
  const producers: TransactionalProducer[] = [];
  try {
    for (let count = 0; count < 3; count++) {
      producers.push(await openTransactionalProducer(stack.kafka, transactionTimeoutMs));
    }
    const outcomes = { commit: 0, abort: 0 };
    for (let rounds = random.integer(4, 8); rounds > 0 && !signal.aborted; rounds--) {
      const begun = await Promise.all(
        producers.map(async producer => ({ transaction: await producer.begin(), outcome: drawOutcome(world) })),
      );
      for (let turn = 0; turn < 3; turn++) {
        for (const { transaction, outcome } of begun) await sendTicks(world, transaction, outcome);
      }
      for (const { transaction, outcome } of begun.reverse()) {
        await transaction[outcome]();
        outcomes[outcome] += 1;
      }
      await pause(random.integer(50, 500), signal);
    }
    log(`${outcomes.commit} transactions were committed, ${outcomes.abort} aborted`);
    const [commander, hanging] = producers;
    if (commander !== undefined) await commands(world, commander);
    if (hanging !== undefined) await hang(world, hanging);
  } finally {
    for (const producer of producers) await producer.close().catch(() => undefined);
  }
}

const drawOutcome = ({ random }: World): 'commit' | 'abort' => (random.next() < 0.5 ? 'commit' : 'abort');

/** Some ticks of some users; those that are not to be committed say so, for the truth. */
async function sendTicks(world: World, transaction: OpenTransaction, outcome: 'commit' | 'abort'): Promise<void> {
  const { stack, clients, random } = world;
  const key = random.pick(clients.keys);
  const at = { topic: 'ticks', partition: partitionOf(key, stack.partitions) };
  const ticks = Array.from({ length: random.integer(1, 20) }, () => JSON.stringify({ n: numberOf(world) }));
  await transaction.send(at, ticks, { key, headers: outcome === 'abort' ? abortedHeaders : {} });
}

/** Each opens an account for somebody of its own: the ledger must come to have the one, and never the other. */
async function commands({ stack, random, signal }: World, producer: TransactionalProducer): Promise<void> {
  const owners = { abort: `aborted-${random.uuid()}`, commit: `committed-${random.uuid()}` };
  for (const outcome of ['abort', 'commit'] as const) {
    const key = owners[outcome];
    const transaction = await producer.begin();
    const headers = { ce_specversion: '1.0', ce_id: random.uuid(), ce_type: 'openAccount', ce_source: '/chaos' };
    await transaction.send({ topic: 'commands', partition: partitionOf(key, stack.partitions) }, ['{}'], {
      key,
      headers,
    });
    await transaction[outcome]();
  }
  const postgres = new pg.Client(stack.postgres);
  await postgres.connect();
  try {
    const has = async (owner: string) =>
      ((await postgres.query('SELECT FROM bank.accounts WHERE owner = $1', [owner])).rowCount ?? 0) > 0;
    await until('the command that was committed', async () => signal.aborted || (await has(owners.commit)), 60_000);
    await pause(1_000, signal); // for what should not be
    if (await has(owners.abort)) throw new Error('a command of an aborted transaction was executed');
  } finally {
    await postgres.end();
  }
}

/** It holds up its partition until the brokers, or it itself, abort it. Gateways must say so. */
async function hang(world: World, producer: TransactionalProducer): Promise<void> {
  const { random, log, signal } = world;
  const transaction = await producer.begin();
  await sendTicks(world, transaction, 'abort');
  const isOpen = async () => (await waitingRecords(world)) > 0;
  await until('a gateway to show the open transaction', async () => signal.aborted || (await isOpen()), 30_000);
  const byItself = random.next() < 0.5 || signal.aborted;
  log(`a transaction hangs, and is aborted by ${byItself ? 'its producer' : 'the brokers'}`);
  if (byItself) {
    await pause(transactionTimeoutMs / 2, signal);
    await transaction.abort();
  }
  await until('the transaction that hangs to be over', async () => !(await isOpen()), endWithinMs);
}

/** Records of ticks behind the committed ends, by all gateways that run now. */
async function waitingRecords({ stack }: World): Promise<number> {
  const counts = namesOf(stack, 'gateway').map(async name => {
    const text = await fetch(`${stack.process(name).admin}/metrics`).then(answer => answer.text());
    return Number(/^penstock_kafka_open_transaction_records\{topic="ticks"\} (\d+)/m.exec(text)?.[1] ?? 0);
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}
