import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, type Evidence, type Findings, type TruthEvent, violations } from './check.ts';

function event(sequence: number, changedBy: number, more: Partial<TruthEvent> = {}): TruthEvent {
  return {
    key: 'alice',
    sequence,
    partition: 0,
    offset: sequence,
    id: `event-${sequence}`,
    commandId: `command-${sequence}`,
    iban: 'NL1',
    changedBy,
    newBalance: 0,
    fromTo: 'cash',
    ...more,
  };
}

function sound(): { -readonly [K in keyof Evidence]: Evidence[K] } {
  const verdict = (n: number) => ({
    key: 'alice',
    commandId: `command-${n}`,
    sequence: 3 + n,
    content: 'yes',
    success: true,
  });
  const command = (n: number) => ({ user: 'alice', commandId: `command-${n}`, type: 'transferMoney', observed: 'yes' });
  return {
    events: [event(1, 500), event(2, -200), event(3, 100)],
    verdicts: [verdict(1), verdict(2), verdict(3)],
    commands: [command(1), command(2), command(3)],
    streams: new Map([['alice', ['event-1', 'event-2', 'event-3']]]),
    ledger: [{ iban: 'NL1', owner: 'alice', balance: 400 }],
    views: [{ iban: 'NL1', owner: 'alice', balance: 400 }],
    partitionOf: () => 0,
  };
}

test('sound evidence has no finding, and a record that a crash wrote again is no fault', () => {
  assert.equal(violations(check(sound())), 0);
  const evidence = sound();
  evidence.events = [event(1, 500), event(1, 500, { offset: 9 }), event(2, -200), event(3, 100)];
  assert.equal(violations(check(evidence)), 0);
});

const faults: readonly [keyof Findings, string, (evidence: ReturnType<typeof sound>) => void][] = [
  ['lost', 'an event missing from a stream', e => (e.streams = new Map([['alice', ['event-1', 'event-3']]]))],
  [
    'twice',
    'an event delivered again',
    e => (e.streams = new Map([['alice', ['event-1', 'event-1', 'event-2', 'event-3']]])),
  ],
  ['outOfOrder', 'two events swapped', e => (e.streams = new Map([['alice', ['event-2', 'event-1', 'event-3']]]))],
  [
    'foreign',
    'an event of another key',
    e => (e.streams = new Map([['alice', ['event-1', 'event-2', 'event-3', 'event-9']]])),
  ],
  [
    'disorderedKeys',
    'a sequence that first occurs late',
    e => (e.events = [event(2, -200), event(1, 500), event(3, 100)]),
  ],
  ['disorderedKeys', 'a record in a wrong partition', e => (e.partitionOf = () => 1)],
  [
    'missingSequences',
    'a sequence that is nowhere in the log',
    e => (e.verdicts = e.verdicts.map(each => (each.sequence === 6 ? { ...each, sequence: 7 } : each))),
  ],
  ['verdictFaults', 'a command without a verdict', e => (e.verdicts = e.verdicts.slice(1))],
  [
    'verdictFaults',
    'a second verdict that differs',
    e => (e.verdicts = [...e.verdicts, { ...e.verdicts[0], content: 'no' } as never]),
  ],
  [
    'verdictFaults',
    'a client that saw no verdict',
    e => (e.commands = [{ ...e.commands[0], observed: undefined } as never, ...e.commands.slice(1)]),
  ],
  [
    'effectFaults',
    'an accepted transfer with two effects on one account',
    e => (e.events = [...e.events, event(4, 100, { commandId: 'command-3' })]),
  ],
  ['effectFaults', 'an accepted transfer without effect', e => (e.events = e.events.slice(0, 2))],
  [
    'balanceFaults',
    'a view that disagrees with the ledger',
    e => (e.views = [{ iban: 'NL1', owner: 'alice', balance: 401 }]),
  ],
  ['centsAstray', 'money from nowhere', e => (e.ledger = [{ iban: 'NL1', owner: 'alice', balance: 401 }])],
];

for (const [finding, what, inject] of faults) {
  test(`the checker finds ${what}`, () => {
    const evidence = sound();
    inject(evidence);
    assert.notEqual(check(evidence)[finding], 0);
  });
}
