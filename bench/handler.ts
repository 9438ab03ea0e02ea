import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import pg from 'pg';
import bank from '../apps/bank/commands.ts';
import { type Command, loadApp } from '../lib/app/index.ts';
import { partitionOf } from '../lib/kafka/index.ts';
import type { Batch } from '../services/command-handler/batch.ts';
import { openOutbox } from '../services/command-handler/outbox.ts';
import { migrate, openPool } from '../services/command-handler/postgres.ts';
import { processBatch } from '../services/command-handler/process-batch.ts';
import { publicationOf } from '../services/command-handler/publication.ts';
import { quietOps } from '../test/support/quiet-ops.ts';

/** Commands per second of one batch size. */
export interface HandlerRate {
  batchCommands: number;
  commandsPerSecond: number;
}

const partitions = 24;
const users = 1_000;

/**
 * The handler's transaction alone, without Kafka: the bank's transfers between 1,000 accounts in batches of each size, one
 * batch at a time, in a database of its own. A size of 1 is one transaction a command.
 * @param postgres a server's URL, whose user may create databases.
 */
export async function measureHandler(
  postgres: string,
  sizes: readonly number[],
  seconds: number,
): Promise<HandlerRate[]> {
  const database = `bench_handler_${process.pid}`;
  const admin = new pg.Client(postgres);
  await admin.connect();
  await admin.query(`CREATE DATABASE ${database}`);
  const url = new URL(postgres);
  url.pathname = `/${database}`;
  const pool = openPool({ address: { url: url.href }, size: 4, transactionTimeoutMs: 5_000 }, quietOps().log);
  try {
    const transfer = await openBank(pool);
    const rates: HandlerRate[] = [];
    for (const size of sizes) {
      await transfer(size);
      const begin = performance.now();
      let commands = 0;
      while (performance.now() - begin < seconds * 1_000) commands += await transfer(size);
      rates.push({ batchCommands: size, commandsPerSecond: (commands * 1_000) / (performance.now() - begin) });
    }
    return rates;
  } finally {
    await pool.end();
    await admin.query(`DROP DATABASE ${database} WITH (FORCE)`);
    await admin.end();
  }
}

/** Accounts for all users; the function decides a batch of so many random transfers and returns how many took effect. */
async function openBank(pool: pg.Pool): Promise<(size: number) => Promise<number>> {
  await migrate(pool, bank.migrations);
  await pool.query(
    `INSERT INTO penstock.command_positions (topic, partition, epoch, generation, position)
     SELECT 'commands', p, 1, 1, 0 FROM generate_series(0, $1::int - 1) AS p`,
    [partitions],
  );
  const plan = await loadApp(join(import.meta.dirname, '../apps/bank'));
  const outbox = openOutbox();
  for (let partition = 0; partition < partitions; partition++) outbox.gain(partition);
  const processing = {
    ...{ pool, app: bank, plan, outbox, now: Date.now, uuid: randomUUID, maxValueBytes: 900_000 },
    partitionOf: (key: string) => partitionOf(key, partitions),
    onFault({ reason }: { reason: string }): never {
      throw new Error(reason);
    },
  };
  const positions = new Map<number, number>();

  const accounts = new Map<string, { iban: string; token: string }>();
  const names = Array.from({ length: users }, (_, index) => `user-${index}`);
  const opened = await decide(names.map(name => commandOf('openAccount', name, {})));
  for (const { key, value } of opened) accounts.set(key, JSON.parse(value));
  return async size => {
    const commands = Array.from({ length: size }, () => {
      const [from, to] = [anyName(), anyName()];
      const { iban = '', token = '' } = accounts.get(from) ?? {};
      return commandOf('transferMoney', from, {
        ...{ token, amount: 1, from: 'cash', to: iban, descr: 'bench' },
        ...(from === to ? {} : { from: iban, to: accounts.get(to)?.iban ?? '' }),
      });
    });
    await decide(commands);
    return size;
  };

  function anyName(): string {
    return names[Math.floor(Math.random() * users)] ?? '';
  }

  async function decide(commands: readonly Command[]) {
    const acknowledged = outbox.takeAcknowledged(5_000);
    const written = await processBatch(processing, batchOf(commands, positions), acknowledged);
    outbox.deleted(acknowledged);
    for (const row of publicationOf(outbox, written).rows) outbox.acknowledge(row);
    return written.own;
  }
}

function commandOf(type: string, userKey: string, args: Record<string, unknown>): Command {
  return { id: randomUUID(), type, userKey, arguments: args, timeMs: Date.now() };
}

/** As a handler takes it up: one slice a partition. */
function batchOf(commands: readonly Command[], positions: Map<number, number>): Batch {
  const byPartition = Map.groupBy(commands, ({ userKey }) => partitionOf(userKey, partitions));
  return [...byPartition].map(([partition, ofPartition]) => {
    const fromOffset = positions.get(partition) ?? 0;
    const toOffset = fromOffset + ofPartition.length;
    positions.set(partition, toOffset);
    const intakes = ofPartition.map((command, index) => ({
      kind: 'command' as const,
      at: { topic: 'commands', partition, offset: fromOffset + index },
      timestampMs: command.timeMs,
      sizeBytes: 500,
      command,
      feedbackTopic: command.type === 'openAccount' ? 'account_creation_feedback' : 'money_transfer_feedback',
      traceparent: undefined,
      refusal: undefined,
    }));
    return { topic: 'commands', partition, epoch: 1, fromOffset, toOffset, intakes };
  });
}
