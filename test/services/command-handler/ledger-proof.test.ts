import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Entry, type Evidence, prove, type SentTransfer } from './ledger-proof.ts';

const owners = new Map([
  ['A', 'alice'],
  ['B', 'bob'],
]);
const sent: SentTransfer[] = [
  { id: 't1', user: 'alice', amount: 100, from: 'cash', to: 'A' },
  { id: 't2', user: 'alice', amount: 30, from: 'A', to: 'B' },
  { id: 't3', user: 'alice', amount: 90_000, from: 'A', to: 'B' },
];

function entry(
  topic: string,
  key: string,
  sequence: number,
  value: Record<string, unknown>,
  commandId?: string,
): Entry {
  return { topic, key, sequence, id: `${topic}-${key}-${sequence}`, commandId, value };
}

function verdict(key: string, sequence: number, commandId: string, success: boolean): Entry {
  return entry('answered', key, sequence, { commandId, success }, commandId);
}

function change(
  key: string,
  sequence: number,
  iban: string,
  changedBy: number,
  newBalance: number,
  descr: string,
): Entry {
  return entry('changed', key, sequence, { iban, changedBy, newBalance, descr });
}

function good(): { -readonly [K in keyof Evidence]: Evidence[K] extends readonly (infer T)[] ? T[] : Evidence[K] } {
  return {
    opened: [entry('opened', 'alice', 1, {}, 'o1'), entry('opened', 'bob', 1, {}, 'o2')],
    answered: [
      verdict('alice', 3, 't1', true),
      verdict('alice', 5, 't2', true),
      verdict('alice', 3, 't1', true),
      verdict('alice', 6, 't3', false),
    ],
    changed: [
      change('alice', 2, 'A', 100, 100, 't1'),
      change('alice', 4, 'A', -30, 70, 't2'),
      change('bob', 2, 'B', 30, 30, 't2'),
    ],
    balances: [
      { iban: 'A', cents: 70 },
      { iban: 'B', cents: 30 },
    ],
    outboxRows: 0,
  };
}

test('a good log, with a repeat in it, passes', () => {
  assert.deepEqual(prove(good(), sent, owners), { verdicts: 3, accepted: 2, events: 3, repeats: 1 });
});

const defects: Readonly<Record<string, (evidence: ReturnType<typeof good>) => void>> = {
  'a lost verdict': ({ answered }) => void answered.pop(),
  'a verdict that changes its mind': ({ answered }) => void answered.splice(2, 1, verdict('alice', 3, 't1', false)),
  'a second verdict under a new sequence': ({ answered }) => void answered.push(verdict('alice', 7, 't1', true)),
  'a lost event': ({ changed }) => void changed.pop(),
  'an event published out of order': ({ changed }) => void changed.splice(0, 2, ...changed.slice(0, 2).reverse()),
  'an effect taken twice': evidence => {
    evidence.changed.push(change('bob', 3, 'B', 30, 60, 't2'));
    evidence.balances[1] = { iban: 'B', cents: 60 };
  },
  'an effect of a refused command': ({ changed }) => void changed.push(change('bob', 3, 'B', 0, 30, 't3')),
  'one sequence for two events': ({ changed }) =>
    void changed.push({ ...change('bob', 2, 'B', 30, 30, 't2'), id: 'another' }),
  'an event under a foreign key': ({ changed }) => void changed.splice(2, 1, change('alice', 7, 'B', 30, 30, 't2')),
  'a gap in the sequences': ({ answered }) => void answered.splice(3, 1, verdict('alice', 7, 't3', false)),
  'money from nowhere': evidence => {
    evidence.balances[1] = { iban: 'B', cents: 31 };
  },
  'a balance that its events do not tell': ({ changed }) =>
    void changed.splice(2, 1, change('bob', 2, 'B', 30, 31, 't2')),
  'a row left in the outbox': evidence => {
    evidence.outboxRows = 1;
  },
};
for (const [defect, damage] of Object.entries(defects)) {
  test(`${defect} is found`, () => {
    const evidence = good();
    damage(evidence);
    assert.throws(() => prove(evidence, sent, owners), assert.AssertionError);
  });
}
