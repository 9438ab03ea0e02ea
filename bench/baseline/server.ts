import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { buildSchema, type GraphQLSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import kafkajs from 'kafkajs';
import pg from 'pg';
import { WebSocketServer } from 'ws';

/**
 * The plain way to do what Penstock does, as a peer for the bench: one process, one kafkajs group with `eachMessage`,
 * awaited sends, one PostgreSQL transaction a command, stock graphql-ws. No cursors, no idempotency, no ownership.
 * Arguments: brokers, postgres url, suffix of its topics. Prints `ready <port>` on stdout.
 */
const [brokers = '', postgres = '', topicSuffix = ''] = process.argv.slice(2);
const commands = `baseline_commands${topicSuffix}`;
const feedback = `baseline_feedback${topicSuffix}`;
const kafka = new kafkajs.Kafka({ brokers: brokers.split(','), logLevel: kafkajs.logLevel.NOTHING });
const pool = new pg.Pool({ connectionString: postgres, max: 4 });

await pool.query('CREATE SCHEMA IF NOT EXISTS baseline');
await pool.query(
  'CREATE TABLE IF NOT EXISTS baseline.accounts (iban text PRIMARY KEY, owner text, balance bigint NOT NULL)',
);
const admin = kafka.admin();
await admin.connect();
await admin.createTopics({
  topics: [commands, feedback].map(topic => ({ topic, numPartitions: 24 })),
  waitForLeaders: true,
});
await admin.disconnect();

const producer = kafka.producer();
await producer.connect();
const waiting = new Map<string, (verdict: { success: boolean }) => void>();
const consumer = kafka.consumer({ groupId: `baseline${topicSuffix}`, maxWaitTimeInMs: 100 });
await consumer.connect();
await consumer.subscribe({ topics: [commands, feedback] });
const joined = new Promise(resolve => consumer.on(consumer.events.GROUP_JOIN, resolve));
await consumer.run({
  eachMessage: async ({ topic, message }) => {
    const value = JSON.parse(String(message.value));
    if (topic === feedback) {
      waiting.get(value.commandId)?.(value);
      return;
    }
    const success = await transferMoney(value);
    await producer.send({
      topic: feedback,
      messages: [{ key: message.key, value: JSON.stringify({ commandId: value.commandId, success }) }],
    });
  },
});
await joined;

/** The usual transaction: lock both sides, check, update each, commit. */
async function transferMoney({ from, to, amount }: { from: string; to: string; amount: number }): Promise<boolean> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query('INSERT INTO baseline.accounts VALUES ($1, $1, 0) ON CONFLICT DO NOTHING', [to]);
    const { rows } = await client.query(
      'SELECT iban, balance FROM baseline.accounts WHERE iban = ANY($1) ORDER BY iban FOR UPDATE',
      [[from, to]],
    );
    const source = rows.find(row => row.iban === from);
    if (source && Number(source.balance) - amount < -50_000) {
      await client.query('ROLLBACK');
      return false;
    }
    if (source)
      await client.query('UPDATE baseline.accounts SET balance = balance - $2 WHERE iban = $1', [from, amount]);
    await client.query('UPDATE baseline.accounts SET balance = balance + $2 WHERE iban = $1', [to, amount]);
    await client.query('COMMIT');
    return true;
  } finally {
    client.release();
  }
}

const schema: GraphQLSchema = buildSchema(`
  type Query { ok: Boolean }
  type Mutation { transferMoney(user: String!, amount: Int!, from: String!, to: String!): Feedback! }
  type Feedback { commandId: ID! success: Boolean! }
`);
const root = {
  transferMoney: async (args: { user: string; amount: number; from: string; to: string }) => {
    const commandId = randomUUID();
    const verdict = new Promise<{ success: boolean }>(resolve => waiting.set(commandId, resolve));
    await producer.send({
      topic: commands,
      messages: [{ key: args.user, value: JSON.stringify({ ...args, commandId }) }],
    });
    const { success } = await verdict;
    waiting.delete(commandId);
    return { commandId, success };
  },
};
const server = createServer();
useServer({ schema, roots: { mutation: root } }, new WebSocketServer({ server, path: '/graphql' }));
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object') process.stdout.write(`ready ${address?.port}\n`);
});
process.on('SIGTERM', () => process.exit(0));
