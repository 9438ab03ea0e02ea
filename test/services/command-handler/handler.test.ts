import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { until } from '../../support/until.ts';
import { type Event, type HandlerProcess, openStage, type Stage } from './stage.ts';

let stage: Stage;
let handler: HandlerProcess;
before(async () => {
  stage = await openStage({ config: { balance_changed: { 'max.message.bytes': '20000' } } });
  handler = await stage.start();
  await handler.ready();
});
after(() => stage.close());

interface Account {
  iban: string;
  token: string;
}

async function open(user: string): Promise<Account> {
  return (await stage.verdict(user, await stage.command(user, 'openAccount', {}))) as unknown as Account;
}

async function verdicts(commandId: string): Promise<Event[]> {
  const topics = [stage.topic('account_creation_feedback'), stage.topic('money_transfer_feedback')];
  const events = (await Promise.all(topics.map(topic => stage.read(topic)))).flat();
  return events.filter(event => event.header('ce_commandid') === commandId);
}

async function deadLetters(): Promise<Event[]> {
  return stage.read(`${stage.topic('commands')}-dlt`);
}

const pay = (account: Account, amount: unknown, more: object = {}) => ({
  ...{ token: '', amount, from: 'cash', to: account.iban, descr: 'in' },
  ...more,
});

test('a command becomes a verdict and events, with the headers that readers rely on', async () => {
  const user = 'alice';
  const account = await open(user);
  const id = await stage.command(user, 'transferMoney', pay(account, 700));
  assert.deepEqual(await stage.verdict(user, id), { commandId: id, success: true, reason: null });
  const [opened] = await stage.read(stage.topic('account_creation_feedback'));
  const [changed] = await until('the event', async () => {
    const events = (await stage.read(stage.topic('balance_changed'))).filter(({ key }) => key === user);
    return events.length > 0 ? events : undefined;
  });
  const [verdict] = await verdicts(id);
  assert.ok(opened !== undefined && changed !== undefined && verdict !== undefined);
  assert.deepEqual([opened.sequence, changed.sequence, verdict.sequence], [1, 2, 3]);
  assert.equal(opened.value.newBalance, 0);
  assert.equal(changed.value.newBalance, 700);
  for (const event of [opened, changed, verdict]) {
    const { partition, header } = event;
    assert.equal(partition, verdict.partition);
    assert.equal(header('ce_specversion'), '1.0');
    assert.equal(header('content-type'), 'application/json');
    assert.match(header('ce_id') ?? '', /^[0-9a-f-]{36}$/);
    assert.equal(header('ce_source'), '/penstock/command-handler');
    assert.equal(`${header('ce_type')}`, event.topic);
    assert.ok(Math.abs(Date.parse(header('ce_time') ?? '') - Date.now()) < 60_000);
  }
  assert.deepEqual([verdict.header('ce_commandid'), verdict.header('ce_final')], [id, 'true']);
  assert.deepEqual([changed.header('ce_commandid'), changed.header('ce_final')], [undefined, undefined]);
});

test("a command's trace goes on in all that follows from it", async () => {
  const account = await open('tracy');
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const id = randomUUID();
  const headers = { ce_id: id, ce_type: 'transferMoney', traceparent };
  await stage.produce({ key: 'tracy', value: JSON.stringify(pay(account, 1)), headers });
  await stage.verdict('tracy', id);
  const [verdict] = await verdicts(id);
  const changed = (await stage.read(stage.topic('balance_changed'))).find(({ key }) => key === 'tracy');
  assert.deepEqual([verdict?.header('traceparent'), changed?.header('traceparent')], [traceparent, traceparent]);
});

test('a command sent again has no second effect and gets its verdict again, under the old sequence number', async () => {
  const account = await open('rita');
  const id = await stage.command('rita', 'transferMoney', pay(account, 5));
  await stage.verdict('rita', id);
  await stage.command('rita', 'transferMoney', pay(account, 5), id);
  await stage.command('rita', 'transferMoney', pay(account, 999, { to: 'nowhere' }), id);
  const repeated = await until('three verdicts', async () => {
    const all = await verdicts(id);
    return all.length >= 3 ? all : undefined;
  });
  const [first] = repeated;
  for (const each of repeated) {
    assert.deepEqual(each.value, first?.value);
    assert.equal(each.sequence, first?.sequence);
    assert.equal(each.header('ce_id'), first?.header('ce_id'));
  }
  const events = (await stage.read(stage.topic('balance_changed'))).filter(({ key }) => key === 'rita');
  assert.deepEqual(
    events.map(({ value }) => value.changedBy),
    [5],
  );
});

test('a command sent twice at once takes effect once', async () => {
  const account = await open('dora');
  const id = randomUUID();
  await Promise.all(Array.from({ length: 5 }, () => stage.command('dora', 'transferMoney', pay(account, 5), id)));
  const last = await stage.command('dora', 'transferMoney', pay(account, 1));
  await stage.verdict('dora', last);
  const events = (await stage.read(stage.topic('balance_changed'))).filter(({ key }) => key === 'dora');
  assert.deepEqual(
    events.map(({ value }) => value.newBalance),
    [5, 6],
  );
  assert.equal(new Set((await verdicts(id)).map(({ sequence }) => sequence)).size, 1);
});

test('the same command id of two users is two commands', async () => {
  const [one, other] = [await open('uma'), await open('uwe')];
  const id = randomUUID();
  await stage.command('uma', 'transferMoney', pay(one, 3), id);
  await stage.command('uwe', 'transferMoney', pay(other, 4), id);
  await stage.verdict('uma', id);
  await stage.verdict('uwe', id);
  const events = (await stage.read(stage.topic('balance_changed'))).filter(({ key }) => ['uma', 'uwe'].includes(key));
  assert.deepEqual(events.map(({ value }) => value.newBalance).sort(), [3, 4]);
});

const misfits: readonly [what: string, value: string | null, reason: string | RegExp][] = [
  ['a fractional amount', '{"token":"","amount":1.5,"from":"cash","to":"x","descr":""}', 'invalid amount'],
  ['a huge amount', '{"token":"","amount":1e300,"from":"cash","to":"x","descr":""}', 'invalid amount'],
  ['an amount in text', '{"token":"","amount":"100","from":"cash","to":"x","descr":""}', 'invalid amount'],
  ['no arguments', '{}', 'invalid amount'],
  ['a missing description', '{"token":"","amount":1,"from":"cash","to":"x"}', /descr/],
  ['a list', '[1,2]', 'invalid amount'],
  ['no JSON', '{"token":', 'invalid amount'],
  ['bytes that are no text', '\u0000\u0001', 'invalid amount'],
  ['nothing at all', null, 'invalid amount'],
];
for (const [what, value, reason] of misfits) {
  test(`a command with ${what} is refused, and the partition goes on`, async () => {
    const id = randomUUID();
    await stage.produce({ key: 'mia', value, headers: { ce_id: id, ce_type: 'transferMoney' } });
    const verdict = await stage.verdict('mia', id);
    assert.equal(verdict.success, false);
    assert.match(String(verdict.reason), typeof reason === 'string' ? new RegExp(`^${reason}$`) : reason);
    await stage.verdict('mia', await stage.command('mia', 'openAccount', {}));
  });
}

test('text that PostgreSQL cannot store does not stop a partition', async () => {
  const account = await open('nora');
  const odd = 'a\u0000b\ud800';
  const id = await stage.command('nora', 'transferMoney', pay(account, 2, { descr: odd, from: odd, token: odd }));
  assert.equal((await stage.verdict('nora', id)).success, true);
  const changed = (await stage.read(stage.topic('balance_changed'))).find(({ key }) => key === 'nora');
  assert.deepEqual([changed?.value.descr, changed?.value.fromTo], [odd, odd]);
});

test('a command without an id is named by its place in the log', async () => {
  const value = JSON.stringify({});
  await stage.produce({ key: 'ivo', value, headers: { ce_type: 'openAccount' } });
  const [verdict] = await until('a verdict', async () => {
    const all = (await stage.read(stage.topic('account_creation_feedback'))).filter(({ key }) => key === 'ivo');
    return all.length > 0 ? all : undefined;
  });
  assert.match(verdict?.header('ce_commandid') ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-/);
});

test('records that nobody can be answered for go to the dead letters with their place in the log', async () => {
  const before = (await deadLetters()).length;
  await stage.produce({ key: null, value: '{}', headers: { ce_type: 'openAccount' } }, 2);
  await stage.produce({ key: 'ute', value: 'hello', headers: { ce_type: 'robBank', 'x-own': 'kept' } });
  await stage.produce({ key: Buffer.from([0xff, 0xfe]), value: '{}', headers: { ce_type: 'openAccount' } }, 1);
  await stage.produce({ key: 'a\u0000b', value: '{}', headers: { ce_type: 'openAccount' } }, 1);
  const letters = await until('four dead letters', async () => {
    const all = await deadLetters();
    return all.length >= before + 4 ? all : undefined;
  });
  const unknown = letters.find(({ key }) => key === 'ute');
  assert.equal(unknown?.record.value?.toString(), 'hello');
  assert.equal(unknown?.header('x-own'), 'kept');
  assert.equal(unknown?.header('kafka_dlt-original-topic'), stage.topic('commands'));
  assert.equal(unknown?.header('kafka_dlt-exception-fqcn'), 'penstock.commands.UnknownCommandType');
  const place = (name: string): Buffer => {
    const value = unknown?.record.headers[name];
    assert.ok(Buffer.isBuffer(value), name);
    return value;
  };
  assert.equal(place('kafka_dlt-original-partition').readInt32BE(), unknown?.partition);
  const offset = Number(place('kafka_dlt-original-offset').readBigInt64BE());
  const original = (await stage.read(stage.topic('commands'))).find(
    event => event.partition === unknown?.partition && event.offset === offset,
  );
  assert.equal(original?.key, 'ute');
  await stage.verdict('ute', await stage.command('ute', 'openAccount', {}));
});

test('a command in another partition than its key belongs to is decided, counted, and answered in the right one', async () => {
  const [right] = await stage.read(stage.topic('account_creation_feedback'));
  const owner = right?.key ?? '';
  const id = randomUUID();
  const elsewhere = ((right?.partition ?? 0) + 1) % stage.partitions;
  const before = await handler.metric('penstock_misplaced_records_total');
  await stage.produce({ key: owner, value: '{}', headers: { ce_id: id, ce_type: 'openAccount' } }, elsewhere);
  await stage.verdict(owner, id);
  assert.equal((await verdicts(id))[0]?.partition, right?.partition);
  assert.equal(await handler.metric('penstock_misplaced_records_total'), before + 1);
});

test('a command whose events would not fit into a record is refused before anything is written', async () => {
  const account = await open('zoe');
  const id = await stage.command('zoe', 'transferMoney', pay(account, 5, { descr: 'x'.repeat(950_000) }));
  assert.deepEqual(await stage.verdict('zoe', id), { commandId: id, success: false, reason: 'too large' });
  const [row] = await stage.postgres.query<{ cents: string }>(
    'SELECT balance_cents AS cents FROM bank.accounts WHERE owner = $1',
    ['zoe'],
  );
  assert.equal(row?.cents, '0');
});

test('an event that its topic refuses for its size goes out as a stub under the same sequence, and the key goes on', async () => {
  const account = await open('stella');
  const large = await stage.command('stella', 'transferMoney', pay(account, 5, { descr: 'x'.repeat(50_000) }));
  const small = await stage.command('stella', 'transferMoney', pay(account, 1));
  await stage.verdict('stella', large);
  await stage.verdict('stella', small);
  const events = await until('both events', async () => {
    const all = (await stage.read(stage.topic('balance_changed'))).filter(({ key }) => key === 'stella');
    return all.length >= 2 ? all : undefined;
  });
  const [stub, next] = [...new Map(events.map(event => [event.sequence, event])).values()];
  assert.deepEqual([stub?.value.newBalance, next?.value.newBalance], [5, 6]);
  assert.deepEqual([stub?.value.descr, stub?.header('penstock_stub')], [undefined, 'true']);
  assert.deepEqual([stub?.sequence, next?.sequence], [2, 4]);
});

test('commands and verdicts are counted, latency is measured, the outbox is emptied', async () => {
  assert.ok((await handler.metric('penstock_commands_total')) > 20);
  assert.ok((await handler.metric('penstock_command_seconds_count')) > 20);
  await until('an empty outbox', async () => (await stage.postgres.query('SELECT FROM penstock.outbox')).length === 0);
});

test('SIGTERM finishes what is under way; the next handler goes on behind it', async () => {
  const account = await open('sid');
  const ids = await Promise.all(
    Array.from({ length: 200 }, () => stage.command('sid', 'transferMoney', pay(account, 1))),
  );
  handler.signal('SIGTERM');
  assert.equal(await handler.exited, 0);
  handler = await stage.start();
  await handler.ready();
  for (const id of [ids[0], ids[100], ids[199]]) await stage.verdict('sid', String(id));
  // The verdicts' topic may be ahead of the events'.
  const events = await until('all events', async () => {
    const found = (await stage.read(stage.topic('balance_changed'))).filter(({ key }) => key === 'sid');
    return found.length >= 200 ? found : undefined;
  });
  assert.deepEqual(
    events.map(({ value }) => value.newBalance),
    Array.from({ length: 200 }, (_, index) => index + 1),
  );
});
