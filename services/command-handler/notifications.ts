import pg from 'pg';
import { messageOf } from '../../lib/errors.ts';
import type { Ops } from '../../lib/ops/index.ts';
import { connectionOf, type PostgresAddress, sessionOf, TransactionPoolingError } from '../../lib/postgres/index.ts';
import { channel, everyPartition } from './outbox-rows.ts';
import { pause } from './signal.ts';

export interface NotificationOptions {
  address: PostgresAddress;
  ops: Pick<Ops, 'log' | 'readiness'>;
  /** Other handlers have written rows for these partitions; undefined: for any, or notifications may have been missed. */
  onRows(partitions: readonly number[] | undefined): void;
}

export interface Notifications {
  close(): Promise<void>;
}

const retryMs = 500;
/** How often the connection is asked whether it lives: a server that vanished says nothing, ms. */
const probeMs = 2_000;
const probeTimeoutMs = 5_000;

/** LISTEN on a connection of its own, again after each break; the readiness `postgres` tells while there is none. */
export function listen({ address, ops, onRows }: NotificationOptions): Notifications {
  const ending = new AbortController();
  ops.readiness.set('postgres', 'not connected yet');
  const running = run();

  return {
    async close() {
      ending.abort();
      await running;
    },
  };

  async function run(): Promise<void> {
    while (!ending.signal.aborted) {
      try {
        await session();
      } catch (error) {
        if (ending.signal.aborted) return;
        ops.readiness.set('postgres', messageOf(error));
        ops.log.warn({ event: 'postgres_away', reason: messageOf(error) }, 'PostgreSQL is away');
        await pause(retryMs, ending.signal);
      }
    }
  }

  /** Ends when closing, rejects when the connection breaks. */
  async function session(): Promise<void> {
    const client = new pg.Client({
      ...connectionOf(address),
      keepAlive: true,
      connectionTimeoutMillis: probeTimeoutMs,
      query_timeout: probeTimeoutMs,
      application_name: 'penstock-command-handler-listen',
    });
    let broken: Error | undefined;
    const breaking = new AbortController();
    client.on('error', (error: Error) => {
      broken = error;
      breaking.abort();
    });
    client.on('end', () => breaking.abort());
    client.on('notification', ({ payload }) => onRows(partitionsOf(payload)));
    try {
      await client.connect();
      await client.query(`LISTEN ${channel}`);
      const listening = await sessionOf(client);
      ops.readiness.set('postgres', undefined);
      onRows(undefined);
      const either = AbortSignal.any([ending.signal, breaking.signal]);
      while (!either.aborted) {
        await pause(probeMs, either);
        if (either.aborted) break;
        // A pooler that gives the session away takes the notifications along.
        if ((await sessionOf(client)) !== listening) throw new TransactionPoolingError();
      }
      if (!ending.signal.aborted) throw broken ?? new Error('the connection was closed');
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

function partitionsOf(payload: string | undefined): readonly number[] | undefined {
  if (payload === undefined || payload === everyPartition) return undefined;
  return payload.split(',').map(Number);
}
