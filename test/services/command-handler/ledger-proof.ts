import assert from 'node:assert/strict';
import type { Stage, TopicName } from './stage.ts';

/** A command as it was sent; the description carries its id, so that events can be told apart. */
export interface SentTransfer {
  id: string;
  user: string;
  amount: number;
  from: string;
  to: string;
}

export interface Proof {
  verdicts: number;
  accepted: number;
  events: number;
  repeats: number;
}

/** Records of the three topics, partition by partition, and what the database holds. */
export interface Evidence {
  opened: readonly Entry[];
  answered: readonly Entry[];
  changed: readonly Entry[];
  balances: readonly { iban: string; cents: number }[];
  outboxRows: number;
}

export interface Entry {
  topic: string;
  key: string;
  sequence: number;
  /** `ce_id`. */
  id: string;
  /** `ce_commandid`. */
  commandId: string | undefined;
  value: Record<string, unknown>;
}

export async function collect(stage: Stage): Promise<Evidence> {
  const read = async (name: TopicName): Promise<Entry[]> =>
    (await stage.read(stage.topic(name))).map(event => ({
      ...{ topic: event.topic, key: event.key, sequence: event.sequence, value: event.value },
      ...{ id: event.header('ce_id') ?? '', commandId: event.header('ce_commandid') },
    }));
  return {
    opened: await read('account_creation_feedback'),
    answered: await read('money_transfer_feedback'),
    changed: await read('balance_changed'),
    balances: await stage.postgres.query('SELECT iban, balance_cents::float8 AS cents FROM bank.accounts'),
    outboxRows: (await stage.postgres.query('SELECT FROM penstock.outbox')).length,
  };
}

/**
 * Holds what lies in the topics and in the ledger against what was sent: each command one verdict, one effect, every
 * key's events once and in order for whoever drops sequence numbers that it has passed, money conserved.
 * @throws AssertionError
 */
export function prove(
  { opened, answered, changed, balances, outboxRows }: Evidence,
  sent: readonly SentTransfer[],
  owners: ReadonlyMap<string, string>,
): Proof {
  const sequences = new Map<string, Map<number, string>>();
  for (const topic of [opened, answered, changed]) {
    for (const [key, events] of byKey(topic)) {
      const first = [...new Set(events.map(({ sequence }) => sequence))];
      assert.deepEqual(
        first,
        [...first].sort((a, b) => a - b),
        `first occurrences of ${key} in ${topic[0]?.topic} are in order`,
      );
      const known = sequences.get(key) ?? new Map<number, string>();
      sequences.set(key, known);
      for (const event of events) {
        const id = `${event.topic} ${event.id} ${JSON.stringify(event.value)}`;
        assert.equal(known.get(event.sequence) ?? id, id, `sequence ${event.sequence} of ${key} is one event`);
        known.set(event.sequence, id);
      }
    }
  }
  for (const [key, known] of sequences) {
    assert.deepEqual(
      [...known.keys()].sort((a, b) => a - b),
      Array.from({ length: known.size }, (_, i) => i + 1),
      `no gap in the sequences of ${key}`,
    );
  }

  const verdicts = new Map(observed(answered).map(event => [event.commandId, event.value]));
  assert.equal(observed(answered).length, sent.length, 'as many verdicts as commands');
  for (const { id } of sent) assert.ok(verdicts.has(id), `a verdict on ${id}`);

  const events = observed(changed);
  let sum = 0;
  let accepted = 0;
  for (const { id, from, to, amount } of sent) {
    const success = verdicts.get(id)?.success === true;
    if (success) accepted++;
    const sides = events.filter(({ value }) => value.descr === id);
    const expected = !success
      ? []
      : [owners.has(from) ? `${from} ${-amount}` : '', owners.has(to) ? `${to} ${amount}` : ''];
    assert.deepEqual(
      sides.map(({ value }) => `${value.iban} ${value.changedBy}`).sort(),
      expected.filter(side => side !== '').sort(),
      `effect of ${id}`,
    );
    if (success) sum += (owners.has(to) ? amount : 0) - (owners.has(from) ? amount : 0);
  }

  assert.equal(
    balances.reduce((total, { cents }) => total + cents, 0),
    sum,
    'the sum of balances',
  );
  for (const { iban, cents } of balances) {
    const steps = events.filter(({ value }) => value.iban === iban);
    let balance = 0;
    for (const { key, value } of steps) {
      assert.equal(key, owners.get(iban));
      balance += Number(value.changedBy);
      assert.equal(value.newBalance, balance, `each step of ${iban}`);
    }
    assert.equal(cents, balance, `balance of ${iban}`);
  }
  assert.equal(outboxRows, 0, 'an empty outbox');
  return {
    verdicts: verdicts.size,
    accepted,
    events: events.length,
    repeats: answered.length + changed.length - verdicts.size - events.length,
  };
}

function byKey(events: readonly Entry[]): Map<string, Entry[]> {
  const keys = new Map<string, Entry[]>();
  for (const event of events) keys.set(event.key, [...(keys.get(event.key) ?? []), event]);
  return keys;
}

/** What a reader has that drops the sequence numbers it has passed, key by key. */
function observed(events: readonly Entry[]): Entry[] {
  const passed = new Map<string, number>();
  return events.filter(({ key, sequence }) => {
    if (sequence <= (passed.get(key) ?? 0)) return false;
    passed.set(key, sequence);
    return true;
  });
}
