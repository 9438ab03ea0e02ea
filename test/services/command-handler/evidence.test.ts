import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evidenceOfClaim, evidenceOfTrace, type Witnesses } from '../../../services/command-handler/evidence.ts';

const at = { topic: 'commands', partition: 3 };
const claim = { ...at, epoch: 5, position: 100, topicId: 'id' };
const nobody: Witnesses = { committed: undefined, reached: undefined, reconciledTo: 0 };

test('a claim is evidence against the ledger only where somebody has seen more of the same topic committed', () => {
  const cases: [string, Partial<Witnesses>, string | undefined][] = [
    ['nobody remembers anything', {}, undefined],
    ['the group is where the ledger is', { committed: { ...at, offset: 100, topicId: 'id' } }, undefined],
    ['the group is behind', { committed: { ...at, offset: 60, topicId: 'id' } }, undefined],
    ['the group is ahead', { committed: { ...at, offset: 101, topicId: 'id' } }, 'position'],
    ['the group is ahead in a topic of before', { committed: { ...at, offset: 101, topicId: 'old' } }, undefined],
    ['the group does not say in which topic', { committed: { ...at, offset: 101, topicId: undefined } }, undefined],
    ['reconciled since', { committed: { ...at, offset: 101, topicId: 'id' }, reconciledTo: 101 }, undefined],
    ['reconciled before', { committed: { ...at, offset: 120, topicId: 'id' }, reconciledTo: 110 }, 'position'],
    ['we have seen less', { reached: { epoch: 4, position: 99, topicId: 'id' } }, undefined],
    ['we have seen more', { reached: { epoch: 4, position: 101, topicId: 'id' } }, 'position'],
    ['we have seen more of a topic of before', { reached: { epoch: 4, position: 101, topicId: 'old' } }, undefined],
    ['our epoch is given again', { reached: { epoch: 5, position: 100, topicId: 'id' } }, 'epoch'],
    ['an epoch above is ours', { reached: { epoch: 6, position: 1, topicId: 'old' } }, 'epoch'],
  ];
  for (const [name, witnesses, kind] of cases) {
    assert.equal(evidenceOfClaim(claim, { ...nobody, ...witnesses })?.kind, kind, name);
  }
});

test('a record is evidence where the ledger has not given its sequence, or has another verdict on its command', () => {
  const event = { ...at, offset: 7, key: 'k', sequence: 4, eventId: 'e', commandId: undefined };
  const verdict = { ...event, commandId: 'c' };
  assert.equal(evidenceOfTrace(event, { sequence: 4, verdictId: undefined }), undefined);
  assert.equal(evidenceOfTrace(event, { sequence: 3, verdictId: undefined })?.kind, 'sequence');
  assert.equal(evidenceOfTrace(verdict, { sequence: 9, verdictId: 'e' }), undefined);
  assert.equal(evidenceOfTrace(verdict, { sequence: 9, verdictId: undefined })?.kind, 'verdict');
  assert.equal(evidenceOfTrace(verdict, { sequence: 9, verdictId: 'other' })?.kind, 'verdict');
});
