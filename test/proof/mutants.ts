import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { testKafka } from '../support/dump.ts';
import type { Findings } from './check.ts';
import type { Servers } from './evidence.ts';
import type { Habits } from './workload.ts';

/** One thing broken on purpose, and the finding that must tell. Each acts on the running system or on its clients. */
export interface Mutant {
  caughtBy: keyof Findings;
  /** Client resumes without its cursor, or with one from before the newest. */
  resume?: 'never' | 'stale';
  habits?: Partial<Habits>;
  /** What the recorder does to a user's stream before it is checked. */
  tamper?(streams: Map<string, string[]>): void;
  /** Done to the servers when all commands are settled. */
  sabotage?(servers: Servers, user: { name: string; iban: string; partition: number }): Promise<void>;
}

async function produce(
  servers: Servers,
  topic: string,
  partition: number,
  record: { key: string; value: object; headers: Record<string, string> },
): Promise<void> {
  const producer = testKafka(servers.kafka).producer();
  await producer.connect();
  await producer.send({ topic, messages: [{ ...record, value: JSON.stringify(record.value), partition }] });
  await producer.disconnect();
}

const someEvent = (iban: string) => ({
  id: randomUUID(),
  iban,
  newBalance: 1,
  changedBy: 1,
  fromTo: 'cash',
  direction: 'CREDIT',
  descr: 'forged',
  time: new Date().toISOString(),
});

export const mutants: Readonly<Record<string, Mutant>> = {
  'resume-without-cursor': { caughtBy: 'lost', resume: 'never' },
  'resume-with-old-cursor': { caughtBy: 'twice', resume: 'stale' },
  'swap-two': {
    caughtBy: 'outOfOrder',
    tamper(streams) {
      const longest = [...streams.values()].sort((a, b) => b.length - a.length)[0] ?? [];
      longest.splice(0, 2, ...longest.slice(0, 2).reverse());
    },
  },
  'deliver-to-wrong-key': {
    caughtBy: 'foreign',
    tamper(streams) {
      const [first, second] = [...streams.values()].sort((a, b) => b.length - a.length);
      if (first?.[0] !== undefined) second?.push(first[0]);
    },
  },
  'sequence-used-twice': {
    caughtBy: 'disorderedKeys',
    sabotage: (servers, { name, iban, partition }) =>
      produce(servers, 'balance_changed', partition, {
        key: name,
        value: someEvent(iban),
        headers: { ce_keysequence: '2', ce_commandid: randomUUID() },
      }).then(() =>
        produce(servers, 'balance_changed', partition, {
          key: name,
          value: someEvent(iban),
          headers: { ce_keysequence: '2', ce_commandid: randomUUID() },
        }),
      ),
  },
  'forget-command-id': { caughtBy: 'effectFaults', habits: { freshIdOnRepeat: true } },
  'second-verdict': {
    caughtBy: 'verdictFaults',
    sabotage: (servers, { name, partition }) =>
      produce(servers, 'money_transfer_feedback', partition, {
        key: name,
        value: { commandId: randomUUID(), success: true },
        headers: { ce_keysequence: '1', ce_commandid: randomUUID() },
      }),
  },
  'money-from-nowhere': {
    caughtBy: 'centsAstray',
    async sabotage(servers, { iban }) {
      const client = new pg.Client(servers.postgres);
      await client.connect();
      await client.query('UPDATE bank.accounts SET balance_cents = balance_cents + 1 WHERE iban = $1', [iban]);
      await client.end();
    },
  },
  'view-left-behind': {
    caughtBy: 'balanceFaults',
    async sabotage(servers, { iban }) {
      const client = new pg.Client(servers.postgres);
      await client.connect();
      await client.query('UPDATE bank.accounts SET balance_cents = balance_cents - 1 WHERE iban = $1', [iban]);
      await client.end();
    },
  },
};
