// starts first: a session has to run out under load
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { until } from '../../support/until.ts';
import { collect, prove, type SentTransfer } from './ledger-proof.ts';
import { type HandlerProcess, openStage, type Stage } from './stage.ts';

let stage: Stage;
before(async () => {
  stage = await openStage({ partitions: 6 });
});
after(() => stage.close());

const users = Array.from({ length: 24 }, (_, index) => `user-${index}`);

/** Transfers all the time, some of them sent twice, until stopped. */
function startLoad(accounts: ReadonlyMap<string, { iban: string; token: string }>): {
  sent: SentTransfer[];
  stop(): Promise<void>;
} {
  const sent: SentTransfer[] = [];
  const pending = new Set<Promise<unknown>>();
  const any = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;
  const ibans = [...accounts.values()].map(({ iban }) => iban);
  const ticker = setInterval(() => {
    for (let i = 0; i < 2; i++) {
      const user = any(users);
      const own = accounts.get(user);
      if (own === undefined) continue;
      const from = Math.random() < 0.3 ? 'cash' : own.iban;
      const to = Math.random() < 0.1 ? 'NL91ABNA0417164300' : any(ibans.filter(iban => iban !== from));
      const transfer = { id: randomUUID(), user, amount: 1 + Math.floor(Math.random() * 9_000), from, to };
      if (from === 'cash' && !ibans.includes(to)) continue;
      sent.push(transfer);
      const args = { token: own.token, amount: transfer.amount, from, to, descr: transfer.id };
      for (let copy = 0; copy < (Math.random() < 0.1 ? 2 : 1); copy++) {
        const sending = stage.command(user, 'transferMoney', args, transfer.id);
        pending.add(sending);
        void sending.finally(() => pending.delete(sending));
      }
    }
  }, 15);
  return {
    sent,
    async stop() {
      clearInterval(ticker);
      await Promise.all(pending);
    },
  };
}

async function drained(): Promise<void> {
  const topic = stage.topic('commands');
  await until(
    'every command is taken up and published',
    async () => {
      const stored = await stage.postgres.query<{ partition: number; position: number }>(
        'SELECT partition, position::float8 AS position FROM penstock.command_positions',
      );
      const ends = await Promise.all(stored.map(({ partition }) => stage.kafka.topics.endOffset({ topic, partition })));
      const left = await stage.postgres.query('SELECT FROM penstock.outbox');
      return (
        stored.length === stage.partitions &&
        stored.every(({ position }, i) => position === ends[i]) &&
        left.length === 0
      );
    },
    60_000,
  );
}

test('kill -9, zombies, moving partitions and cut connections: each command one verdict and one effect, in order', async context => {
  let handlers: HandlerProcess[] = await Promise.all([stage.start(), stage.start()]);
  const running = (index: number): HandlerProcess => handlers[index] as HandlerProcess;
  await Promise.all(handlers.map(handler => handler.ready()));
  const accounts = new Map<string, { iban: string; token: string }>();
  const openings = await Promise.all(users.map(user => stage.command(user, 'openAccount', {})));
  for (const [index, user] of users.entries()) {
    accounts.set(user, (await stage.verdict(user, String(openings[index]))) as { iban: string; token: string });
  }
  const owners = new Map([...accounts].map(([user, { iban }]) => [iban, user]));
  const load = startLoad(accounts);
  context.after(load.stop);
  const more = async (count: number): Promise<void> => {
    const target = load.sent.length + count;
    await until(`${count} more commands`, () => load.sent.length >= target, 60_000);
  };

  await more(200);
  running(0).signal('SIGKILL');
  await running(0).exited;
  handlers[0] = await stage.start();
  await running(0).ready();
  await more(200);

  // Stopped for longer than its session: its partitions move, and then it goes on as if nothing had happened.
  running(1).signal('SIGSTOP');
  const generationOf = async (): Promise<number> => {
    const [row] = await stage.postgres.query<{ generation: number }>(
      'SELECT min(generation)::float8 AS generation FROM penstock.command_positions',
    );
    return row?.generation ?? 0;
  };
  const before = await generationOf();
  await until("the zombie's partitions are claimed", async () => (await generationOf()) > before, 40_000);
  await more(100);
  running(1).signal('SIGCONT');
  await more(300);

  for (let round = 0; round < 3; round++) {
    await stage.postgres.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name LIKE 'penstock-command-handler%'`,
    );
    await more(150);
  }

  handlers = [...handlers, await stage.start()];
  await running(2).ready();
  await more(150);
  running(0).signal('SIGTERM');
  assert.equal(await running(0).exited, 0);
  await more(100);
  for (const handler of handlers.slice(1)) handler.signal('SIGKILL');
  await load.stop();
  await stage.start();
  await drained();
  const proof = prove(await collect(stage), load.sent, owners);
  assert.ok(proof.accepted > 300, 'transfers succeeded');
  context.diagnostic(JSON.stringify(proof));
});
