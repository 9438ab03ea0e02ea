import pg from 'pg';
import { partitionOf } from '../../lib/kafka/index.ts';
import { dumpTopic, testKafka } from '../support/dump.ts';
import type { User } from '../support/user.ts';
import type { Evidence, SentCommand, TruthEvent, TruthVerdict } from './check.ts';
import { verdictText } from './workload.ts';

/** Where a stack's servers are, as its stack.json tells. */
export interface Servers {
  url: string;
  kafka: readonly string[];
  postgres: string;
}

/** Collects what {@link check} needs, of the run's users only, so that runs can follow each other on one stack. */
export async function collect(
  servers: Servers,
  users: ReadonlyMap<string, User>,
  commands: readonly SentCommand[],
  streams: ReadonlyMap<string, readonly string[]>,
): Promise<Evidence> {
  const kafka = testKafka(servers.kafka);
  const topics = ['balance_changed', 'account_creation_feedback', 'money_transfer_feedback'];
  const [balanceChanged = [], ...feedbacks] = await Promise.all(topics.map(topic => dumpTopic(kafka, topic)));
  const feedback = feedbacks.flat();
  const admin = kafka.admin();
  await admin.connect();
  const partitions = (await admin.fetchTopicOffsets('balance_changed')).length;
  await admin.disconnect();
  const ours = (key: string | null): key is string => key !== null && users.has(key);
  const events = balanceChanged.flatMap(({ key, value, headers, partition, offset }): TruthEvent[] =>
    ours(key) && value !== null
      ? [
          {
            key,
            sequence: Number(headers.ce_keysequence),
            partition,
            offset,
            id: String(value.id),
            // The workload writes the command's id there.
            commandId: String(value.descr),
            iban: String(value.iban),
            changedBy: Number(value.changedBy),
            newBalance: Number(value.newBalance),
            fromTo: String(value.fromTo),
          },
        ]
      : [],
  );
  const verdicts = feedback.flatMap(({ key, value, headers }): TruthVerdict[] =>
    ours(key) && value !== null
      ? [
          {
            key,
            commandId: headers.ce_commandid ?? '',
            sequence: Number(headers.ce_keysequence),
            content: verdictText(value),
            success: value.success === true,
          },
        ]
      : [],
  );
  return {
    events,
    verdicts,
    commands,
    streams,
    ledger: await ledgerOf(servers.postgres, users),
    views: await viewsOf(users),
    partitionOf: key => partitionOf(key, partitions),
  };
}

export async function ledgerOf(postgres: string, users: ReadonlyMap<string, User>): Promise<Evidence['ledger']> {
  const client = new pg.Client(postgres);
  await client.connect();
  try {
    const { rows } = await client.query(
      'SELECT iban, owner, balance_cents::float8 AS balance FROM bank.accounts WHERE owner = ANY($1)',
      [[...users.keys()]],
    );
    return rows;
  } finally {
    await client.end();
  }
}

async function viewsOf(users: ReadonlyMap<string, User>): Promise<Evidence['views']> {
  const rows = [];
  for (const [owner, user] of users) {
    const answer = await user.post('{ account { iban balance } }');
    const account = answer.data?.account as { iban: string; balance: number } | null | undefined;
    if (account) rows.push({ owner, ...account });
  }
  return rows;
}
