import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import type kafkajs from 'kafkajs';
import { partitionOf } from '../../lib/kafka/index.ts';
import { type Account, account, collector, transactions, transferMoney } from '../support/bank.ts';
import { type DumpedRecord, dumpTopic, testKafka } from '../support/dump.ts';
import { type Stack, sharedStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { openUser, type User } from '../support/user.ts';

let stack: Stack;
let kafka: kafkajs.Kafka;
let producer: kafkajs.Producer;
let user: User;
let his: Account;

before(async () => {
  stack = await sharedStack();
  kafka = testKafka(stack.kafka, stack.kafkaCaFile);
  producer = kafka.producer();
  await producer.connect();
  user = await openUser(stack.url, `records-${randomUUID()}`);
  his = await account(user);
});

after(async () => {
  await user?.close();
  await producer?.disconnect();
});

const produce = (topic: string, value: string, headers: Record<string, string> = {}) =>
  producer.send({
    topic,
    messages: [{ key: user.name, value, headers, partition: partitionOf(user.name, stack.partitions) }],
  });

async function only(topic: string, fits: (record: DumpedRecord) => boolean): Promise<DumpedRecord> {
  const found = (await dumpTopic(kafka, topic)).filter(record => record.key === user.name && fits(record));
  assert.equal(found.length, 1, `${found.length} records in ${topic}`);
  return found[0] as DumpedRecord;
}

test('a command is a CloudEvent under its caller’s key, and its trace goes on into the feedback', async () => {
  const trace = '0af7651916cd43dd8448eb211c80319c';
  const id = randomUUID();
  const response = await fetch(`${stack.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${user.accessToken()}`,
      traceparent: `00-${trace}-b7ad6b7169203331-01`,
    },
    body: JSON.stringify({
      query: transferMoney,
      variables: { id, token: his.token, amount: 10, from: 'cash', to: his.iban, descr: 'traced' },
    }),
  });
  assert.equal(response.status, 200);
  const command = await only('commands', ({ headers }) => headers.ce_id === id);
  assert.equal(command.partition, partitionOf(user.name, stack.partitions));
  const { ce_id, ce_type, ce_specversion, ce_time, ce_source, traceparent } = command.headers;
  assert.deepEqual({ ce_id, ce_type, ce_specversion }, { ce_id: id, ce_type: 'transferMoney', ce_specversion: '1.0' });
  assert.ok(!Number.isNaN(Date.parse(ce_time ?? '')));
  assert.ok(ce_source);
  assert.equal(traceparent?.slice(3, 35), trace);
  const { token, amount, from, to, descr } = command.value ?? {};
  assert.deepEqual(
    { token, amount, from, to, descr },
    { token: his.token, amount: 10, from: 'cash', to: his.iban, descr: 'traced' },
  );

  const feedback = await only('money_transfer_feedback', ({ headers }) => headers.ce_commandid === id);
  assert.deepEqual(feedback.value, { commandId: id, success: true, reason: null });
  assert.equal(feedback.headers.traceparent?.slice(3, 35), trace);
  assert.match(feedback.headers.ce_keysequence ?? '', /^\d+$/);
  const event = await only('balance_changed', ({ value }) => value?.descr === 'traced');
  assert.equal(event.headers.traceparent?.slice(3, 35), trace);
});

test('a poison command gets feedback with success false and blocks nobody', async () => {
  const poison = [
    ['not JSON', { ce_id: randomUUID(), ce_type: 'transferMoney' }],
    ['[1,2]', { ce_id: randomUUID(), ce_type: 'transferMoney' }],
    [
      '{"amount":1.5,"from":"cash","to":"x","token":"t","descr":"d"}',
      { ce_id: randomUUID(), ce_type: 'transferMoney' },
    ],
    ['{"amount":1}', { ce_id: randomUUID(), ce_type: 'transferMoney' }],
  ] as const;
  for (const [value, headers] of poison) await produce('commands', value, headers);
  await produce('commands', '{}', { ce_id: randomUUID(), ce_type: 'noSuchCommand' });
  const after = await user.post(transferMoney, { ...his, from: 'cash', to: his.iban, amount: 1 });
  assert.equal((after.data.transferMoney as { success: boolean }).success, true);
  const feedback = await dumpTopic(kafka, 'money_transfer_feedback');
  for (const [value, { ce_id }] of poison) {
    const verdicts = feedback.filter(({ headers }) => headers.ce_commandid === ce_id);
    assert.equal(verdicts.length, 1, value);
    assert.equal(verdicts[0]?.value?.success, false, value);
    assert.equal(verdicts[0]?.value?.commandId, ce_id, value);
  }
});

test('a record that fits no type is skipped by streams, goes to the dead letters, and the stream goes on', async () => {
  const seen = collector();
  const stream = user.subscribe({ query: transactions }, seen);
  await until('a cursor', () => stream.cursor() !== undefined);
  const sound = {
    iban: his.iban,
    newBalance: 5,
    changedBy: 5,
    fromTo: 'cash',
    direction: 'CREDIT',
    descr: 'direct',
    time: new Date().toISOString(),
  };
  const marks = { notJson: `not JSON ${randomUUID()}`, misfit: randomUUID(), sound: randomUUID() };
  await produce('balance_changed', marks.notJson);
  await produce('balance_changed', JSON.stringify({ ...sound, id: marks.misfit, changedBy: 'five' }));
  await produce('balance_changed', JSON.stringify({ ...sound, id: marks.sound }));
  await until('the sound record', () => seen.got.length > 0);
  assert.deepEqual(
    seen.got.map(({ id }) => id),
    [marks.sound],
  );
  stream.stop();
  await until(
    'both dead letters',
    async () => (await dumpTopic(kafka, 'balance_changed-dlt')).filter(({ key }) => key === user.name).length === 2,
    30_000,
  );
  const letter = await only('balance_changed-dlt', ({ value }) => value?.id === marks.misfit);
  assert.equal(letter.headers['kafka_dlt-original-topic'], 'balance_changed');
  assert.match(letter.headers['kafka_dlt-exception-message'] ?? '', /changedBy/);
});

test('a record in another partition than its key’s is counted', async () => {
  const wrong = (partitionOf(user.name, stack.partitions) + 1) % stack.partitions;
  const count = async () => {
    const gateways = stack.processes().filter(({ service }) => service === 'gateway');
    const texts = await Promise.all(gateways.map(async ({ admin }) => (await fetch(`${admin}/metrics`)).text()));
    return texts
      .join('\n')
      .split('\n')
      .filter(line => /misplaced/.test(line) && !line.startsWith('#') && /balance_changed/.test(line))
      .map(line => Number(line.split(' ').pop()));
  };
  await producer.send({ topic: 'balance_changed', messages: [{ key: user.name, value: '{}', partition: wrong }] });
  await until('the count', async () => (await count()).some(value => value > 0));
});
