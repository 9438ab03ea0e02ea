import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { compileApp, loadApp } from '../../../lib/app/index.ts';
import type { KafkaRecord } from '../../../lib/kafka/index.ts';
import { openSorting, type Sort } from '../../../services/command-handler/intake.ts';
import type { CommandIntake } from '../../../services/command-handler/types.ts';

let sort: Sort;
before(async () => {
  sort = openSorting(await loadApp('apps/bank'));
});

const good = { token: 't', amount: 5, from: 'a', to: 'b', descr: 'd' };

function record(more: Partial<KafkaRecord> = {}): KafkaRecord {
  return {
    ...{ topic: 'commands', partition: 3, offset: 77, timestampMs: 1_234, key: Buffer.from('alice') },
    value: Buffer.from(JSON.stringify(good)),
    headers: { ce_id: 'c-1', ce_type: 'transferMoney' },
    ...more,
  };
}

function commandOf(more: Partial<KafkaRecord>, topicId = 'one'): CommandIntake {
  const intake = sort(record(more), topicId);
  assert.ok(intake.kind === 'command');
  return intake;
}

test('a well-formed record becomes its command', () => {
  const intake = commandOf({
    headers: { ce_id: Buffer.from('c-1'), ce_type: [Buffer.from('x'), Buffer.from('transferMoney')] },
  });
  assert.deepEqual(intake.command, {
    id: 'c-1',
    type: 'transferMoney',
    userKey: 'alice',
    arguments: good,
    timeMs: 1_234,
  });
  assert.equal(intake.feedbackTopic, 'money_transfer_feedback');
  assert.equal(intake.refusal, undefined);
  assert.deepEqual(intake.at, { topic: 'commands', partition: 3, offset: 77 });
});

test('what can be answered but not decided says why, and keeps the arguments as they came', () => {
  const odd = { ...good, amount: 1.5 };
  const intake = commandOf({ value: Buffer.from(JSON.stringify(odd)) });
  assert.match(String(intake.refusal), /amount/);
  assert.deepEqual(intake.command.arguments, odd);
  for (const value of [null, Buffer.from('{'), Buffer.from('[]'), Buffer.from('null'), Buffer.from([0xff])]) {
    assert.deepEqual(commandOf({ value }).command.arguments, {});
    assert.ok(commandOf({ value }).refusal);
  }
});

test('a missing or unusable id becomes one that the same place in the log always gives, and no other', () => {
  const idAt = (offset: number, ce_id?: string, topicId?: string) =>
    commandOf(
      {
        offset,
        headers: { ce_type: 'openAccount', ...(ce_id === undefined ? {} : { ce_id }) },
        value: Buffer.from('{}'),
      },
      topicId,
    ).command.id;
  assert.match(idAt(5), /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(idAt(5), idAt(5, ''));
  assert.equal(idAt(5), idAt(5, 'x\u0000y'));
  assert.equal(idAt(5), idAt(5, 'é'.repeat(129)));
  assert.notEqual(idAt(5), idAt(6));
  assert.notEqual(idAt(5), idAt(5, undefined, 'another topic of that name'));
});

test('a trace that is not well-formed is not handed on', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const headers = { ce_id: 'c', ce_type: 'transferMoney' };
  assert.equal(commandOf({ headers: { ...headers, traceparent } }).traceparent, traceparent);
  assert.equal(commandOf({ headers: { ...headers, traceparent: 'x\u0000' } }).traceparent, undefined);
});

test('without a user key or a known type nobody can be answered', () => {
  const cases: [Partial<KafkaRecord>, string][] = [
    [{ key: null }, 'UnusableKey'],
    [{ key: Buffer.alloc(0) }, 'UnusableKey'],
    [{ key: Buffer.from([0xc3, 0x28]) }, 'UnusableKey'],
    [{ key: Buffer.from('a\u0000b') }, 'UnusableKey'],
    [{ key: Buffer.from('é'.repeat(513)) }, 'UnusableKey'],
    [{ headers: { ce_id: 'c' } }, 'UnknownCommandType'],
    [{ headers: { ce_id: 'c', ce_type: 'robBank' } }, 'UnknownCommandType'],
    [{ topic: 'other' }, 'UnknownCommandType'],
  ];
  for (const [more, exception] of cases) {
    const intake = sort(record(more), 'one');
    assert.ok(intake.kind === 'dead');
    assert.equal(intake.exception, exception);
    assert.deepEqual(intake.record.value, record(more).value);
  }
});

test('no record makes it throw', () => {
  const bytes = fc.option(fc.uint8Array({ maxLength: 40 }).map(array => Buffer.from(array)));
  const header = fc.oneof(fc.string(), fc.constantFrom('openAccount', 'transferMoney'));
  const headers = fc.record({ ce_id: header, ce_type: header, traceparent: header }, { requiredKeys: [] });
  const value = fc.oneof(
    bytes,
    fc.json().map(text => Buffer.from(text)),
  );
  fc.assert(
    fc.property(bytes, value, headers, (key, content, names) => {
      sort(record({ key, value: content, headers: names }), 'one');
    }),
    { numRuns: 5_000 },
  );
});

test('arguments that are nested too deeply to be checked are refused, and throw at nobody', async () => {
  const body = `
    input Inner { inner: Inner }
    type Query { _: Boolean }
    type Done { commandId: ID! success: Boolean! reason: String }
    type Mutation { nest(inner: Inner, commandId: ID): Done! @command(topic: "commands", type: "nest", feedback: "done") }`;
  const nested = openSorting(compileApp({ name: 'nested.graphql', body }));
  const value = Buffer.from(`${'{"inner":'.repeat(100_000)}null${'}'.repeat(100_000)}`);
  const intake = nested(record({ value, headers: { ce_id: 'c-1', ce_type: 'nest' } }), 'one');
  assert.ok(intake.kind === 'command');
  assert.match(String(intake.refusal), /the arguments can't be checked/);
  assert.deepEqual(intake.command.arguments, {});
});

test('a command without an id has another one where a truncated log has another record at its offset', () => {
  const headers = { ce_type: 'transferMoney' };
  const idOf = (leaderEpoch?: number) =>
    commandOf({ headers, ...(leaderEpoch === undefined ? {} : { leaderEpoch }) }).command.id;
  assert.equal(new Set([idOf(), idOf(3), idOf(4)]).size, 3);
  assert.deepEqual([idOf(3), idOf(-1)], [idOf(3), idOf()]);
});
