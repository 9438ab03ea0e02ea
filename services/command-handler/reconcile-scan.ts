import { setTimeout } from 'node:timers/promises';
import type pg from 'pg';
import { headerText, type KafkaRecord, type TopicPartition, type Topics } from '../../lib/kafka/index.ts';
import { bigintegers, texts } from './binary-arrays.ts';
import type { Trace } from './evidence.ts';
import { knownOf } from './ledger-fault.ts';
import { traceOf } from './log-tail.ts';

/** A record in the log whose effect the ledger lacks. */
export type Lost = TopicPartition & {
  /** `verdict`: of a command that the ledger has not decided; `other-verdict`: of one that it has decided otherwise; `event`: what followed from one. */
  kind: 'verdict' | 'other-verdict' | 'event';
  offset: number;
  key: string;
  sequence: number;
  eventId: string;
  commandId: string | undefined;
  /** What the verdict told the client; undefined where it has no such field. */
  success: boolean | undefined;
};

/** Why the ledger can't be reconciled now: one line that says what to do. */
export class ReconcileRefusedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ReconcileRefusedError';
  }
}

/** Where to read, and what to tell. */
export interface Scan {
  topics: Pick<Topics, 'fetch'>;
  client: pg.ClientBase;
  onLost(lost: Lost): void;
  /** How long a log may not show what it had, as under a leader that has just been elected, ms; default: {@link patienceMs}. */
  patienceMs?: number;
}

const fetchBytes = 1_048_576;
const patienceMs = 10_000;
const retryMs = 100;

/** What the log has beyond the ledger is kept in the session, so that it is bounded by PostgreSQL's disk and not by our memory. */
export async function openFindings(client: pg.ClientBase): Promise<void> {
  await client.query(`CREATE TEMPORARY TABLE IF NOT EXISTS log_sequences (
      user_key text COLLATE "C" PRIMARY KEY, sequence bigint NOT NULL
    )`);
  await client.query('CREATE TEMPORARY TABLE IF NOT EXISTS log_verdicts (LIKE penstock.verdicts INCLUDING INDEXES)');
  await client.query('TRUNCATE log_sequences, log_verdicts');
}

/**
 * Reads one log up to `end` and keeps what the ledger lacks. Returns how many records were read.
 * @throws ReconcileRefusedError when the log does not reach to `end` any more
 */
export async function scanLog(
  { topics, client, onLost, patienceMs: patience = patienceMs }: Scan,
  at: TopicPartition,
  { start, end }: { start: number; end: number },
): Promise<number> {
  let count = 0;
  let waitedMs = 0;
  for (let offset = start; offset < end; ) {
    const { records, nextOffset } = await topics.fetch(at, offset, fetchBytes);
    await keep(client, records, onLost);
    count += records.length;
    if (nextOffset > offset) waitedMs = 0;
    else if (waitedMs >= patience) {
      throw new ReconcileRefusedError(
        `${at.topic}/${at.partition} can be read up to offset ${offset} only, and not to its end at ${end}: try again when its leader has caught up`,
      );
    } else {
      await setTimeout(retryMs);
      waitedMs += retryMs;
    }
    offset = Math.max(offset, nextOffset);
  }
  return count;
}

async function keep(client: pg.ClientBase, records: readonly KafkaRecord[], onLost: Scan['onLost']): Promise<void> {
  const traced = records.flatMap(record => {
    const trace = traceOf(record);
    return trace === undefined ? [] : [{ record, trace }];
  });
  if (traced.length === 0) return;
  const known = await knownOf(
    client,
    traced.map(({ trace }) => trace),
  );
  const ahead = new Map<string, number>();
  const verdicts: { record: KafkaRecord; trace: Trace }[] = [];
  for (const [index, each] of traced.entries()) {
    const { trace, record } = each;
    const { sequence, verdictId } = known[index] ?? { sequence: 0, verdictId: undefined };
    if (trace.sequence > sequence) ahead.set(trace.key, Math.max(ahead.get(trace.key) ?? 0, trace.sequence));
    const isVerdict = trace.commandId !== undefined;
    if (isVerdict ? verdictId === trace.eventId : trace.sequence <= sequence) continue;
    const kind = !isVerdict ? 'event' : verdictId === undefined ? 'verdict' : 'other-verdict';
    if (kind === 'verdict') verdicts.push(each);
    onLost({ ...trace, kind, offset: record.offset, success: isVerdict ? successOf(record) : undefined });
  }
  await keepSequences(client, ahead);
  await keepVerdicts(client, verdicts);
}

async function keepSequences(client: pg.ClientBase, ahead: ReadonlyMap<string, number>): Promise<void> {
  if (ahead.size === 0) return;
  await client.query({
    name: 'penstock_keep_sequences',
    text: `INSERT INTO log_sequences AS kept (user_key, sequence) SELECT * FROM unnest($1::text[], $2::bigint[])
      ON CONFLICT (user_key) DO UPDATE SET sequence = GREATEST(kept.sequence, excluded.sequence)`,
    values: [texts([...ahead.keys()]), bigintegers([...ahead.values()])],
  });
}

/** Of several verdicts on one command the first one stays: it is the one that clients were told first. */
async function keepVerdicts(
  client: pg.ClientBase,
  verdicts: readonly { record: KafkaRecord; trace: Trace }[],
): Promise<void> {
  if (verdicts.length === 0) return;
  const header = ({ record }: { record: KafkaRecord }, name: string) => headerText(record.headers, name);
  await client.query({
    name: 'penstock_keep_verdicts',
    text: `INSERT INTO log_verdicts (user_key, command_id, sequence, topic, event_id, traceparent, time_ms, value)
      SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[])
      ON CONFLICT DO NOTHING`,
    values: [
      texts(verdicts.map(({ trace }) => trace.key)),
      texts(verdicts.map(({ trace }) => trace.commandId)),
      bigintegers(verdicts.map(({ trace }) => trace.sequence)),
      texts(verdicts.map(({ trace }) => trace.topic)),
      texts(verdicts.map(({ trace }) => trace.eventId)),
      texts(verdicts.map(each => header(each, 'traceparent'))),
      bigintegers(verdicts.map(({ record }) => Math.round(record.timestampMs))),
      texts(verdicts.map(({ record }) => record.value?.toString('utf8') ?? '{}')),
    ],
  });
}

function successOf({ value }: KafkaRecord): boolean | undefined {
  try {
    const json: unknown = JSON.parse(String(value));
    if (typeof json !== 'object' || json === null || !('success' in json)) return undefined;
    return typeof json.success === 'boolean' ? json.success : undefined;
  } catch {
    return undefined;
  }
}
