import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type pg from 'pg';
import pino from 'pino';
import bank from '../../../apps/bank/commands.ts';
import { compileApp } from '../../../lib/app/index.ts';
import { PartitionCountError, UnknownTopicError } from '../../../lib/kafka/index.ts';
import { openPool } from '../../../services/command-handler/postgres.ts';
import {
  commonPartitionCount,
  insist,
  prepareDatabase,
  StartRefusedError,
  warnOfSettings,
} from '../../../services/command-handler/start-up.ts';
import { kafkaAddress, kafkaConfig, openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';

let kafka: ScratchKafka;
let postgres: ScratchPostgres;
let pool: pg.Pool;
const log = pino({ level: 'silent' });
before(async () => {
  kafka = openScratchKafka();
  postgres = await scratchPostgres();
  pool = openPool({ address: { url: postgres.url }, size: 2, transactionTimeoutMs: 3_000 }, log);
});
after(async () => {
  await pool.end();
  await postgres.drop();
  await kafka.close();
});

function planOver(commands: string, feedback: string) {
  const field = `say(text: String!): Said! @command(topic: "${commands}", type: "say", feedback: "${feedback}")`;
  return compileApp({
    name: 'test',
    body: `type Query { said: [Said!]! @view(table: "said") }
      type Mutation { ${field} }
      type Said @table(name: "said", topics: ["${feedback}"], id: ["id"]) { id: ID! ok: Boolean }`,
  });
}

const withoutCreating = () => ({ ...kafkaConfig([kafkaAddress()]), createTopics: false });

test('all topics of an app share one partition count, or the handler does not start', async () => {
  const [four, alsoFour, two] = [await kafka.topic(4), await kafka.topic(4), await kafka.topic(2)];
  assert.equal(await commonPartitionCount(kafka.topics, planOver(four, alsoFour), withoutCreating()), 4);
  await assert.rejects(commonPartitionCount(kafka.topics, planOver(four, two), withoutCreating()), PartitionCountError);
  await assert.rejects(
    commonPartitionCount(kafka.topics, planOver(four, 'nowhere'), withoutCreating()),
    UnknownTopicError,
  );
});

test('a refusal for good ends the wait, anything else is tried again, an abort ends both', async () => {
  const never = new AbortController();
  let attempts = 0;
  const second = (): Promise<string> =>
    ++attempts < 2 ? Promise.reject(new Error('not yet')) : Promise.resolve('done');
  assert.equal(await insist('it', second, log, never.signal), 'done');
  await assert.rejects(
    insist('it', () => Promise.reject(new StartRefusedError('no')), log, never.signal),
    /no/,
  );
  never.abort();
  assert.equal(await insist('it', second, log, never.signal), undefined);
});

test('topics may grow only when the outbox is drained', async () => {
  await prepareDatabase(pool, bank, 4);
  await prepareDatabase(pool, bank, 8);
  await postgres.query(
    `INSERT INTO penstock.outbox (partition, user_key, sequence, repetition, announced, topic, event_id, time_ms, value)
     VALUES (0, 'alice', 1, 0, false, 't', 'e', 0, '{}')`,
  );
  await prepareDatabase(pool, bank, 8);
  await assert.rejects(prepareDatabase(pool, bank, 12), StartRefusedError);
});

test('settings under which PostgreSQL forgets commits are warned of, and only those', async () => {
  const lines: string[] = [];
  const heard = pino({ level: 'warn' }, { write: line => void lines.push(line) });
  await warnOfSettings(pool, heard);
  assert.deepEqual(lines, []);
  await postgres.query(`ALTER DATABASE ${new URL(postgres.url).pathname.slice(1)} SET synchronous_commit = off`);
  const later = openPool({ address: { url: postgres.url }, size: 1, transactionTimeoutMs: 3_000 }, log);
  await warnOfSettings(later, heard).finally(() => later.end());
  assert.deepEqual(JSON.parse(lines[0] ?? '{}').settings, ['synchronous_commit=off']);
});
