import { EventEmitter, on } from 'node:events';
import { createServer } from 'node:http';
import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { Redis } from 'ioredis';
import kafkajs from 'kafkajs';
import { WebSocket, WebSocketServer } from 'ws';
import { partitionOf } from '../../lib/kafka/index.ts';

/**
 * The usual way to push records to browsers from several processes, as a peer for `npm run gaps`: one kafkajs group,
 * `eachMessage` into an in-memory PubSub, stock graphql-ws. Who owns a partition stands in a Redis hash, and a client whose
 * partition went elsewhere is closed with 1012. No cursor, no replay. The group has Penstock's session time-out and heartbeat.
 * Arguments: brokers, redis url, topic, the hash's key, partition count. Prints `ready <url>`.
 */
const [brokers = '', redisUrl = '', topic = '', ownersKey = '', count = ''] = process.argv.slice(2);
const partitionCount = Number(count);
const redis = new Redis(redisUrl);
const pubSub = new EventEmitter().setMaxListeners(0);
const socketsOf = new Map<number, Set<WebSocket>>();

const schema = buildSchema(`
  type Query { ok: Boolean }
  type Subscription { records(user: String!): Record! }
  type Record { id: ID! }
`);
const root = {
  async *records({ user }: { user: string }, { extra }: { extra: { socket: unknown } }) {
    const partition = partitionOf(user, partitionCount);
    const sockets = socketsOf.get(partition) ?? new Set();
    socketsOf.set(partition, sockets);
    const socket = extra.socket instanceof WebSocket ? extra.socket : undefined;
    if (socket) sockets.add(socket);
    try {
      for await (const [records] of on(pubSub, user)) yield { records };
    } finally {
      if (socket) sockets.delete(socket);
    }
  },
};
const server = createServer();
const webSockets = new WebSocketServer({ server, path: '/graphql' });
useServer({ schema, roots: { subscription: root }, context: ctx => ctx }, webSockets);
server.listen(0, '127.0.0.1');
await new Promise(resolve => server.once('listening', resolve));
process.stdout.write('listening\n');
const address = server.address();
const url = `ws://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/graphql`;

const kafka = new kafkajs.Kafka({ brokers: brokers.split(','), logLevel: kafkajs.logLevel.NOTHING });
const consumer = kafka.consumer({
  groupId: ownersKey,
  sessionTimeout: 6_000,
  heartbeatInterval: 250,
  rebalanceTimeout: 10_000,
  maxWaitTimeInMs: 100,
});
await consumer.connect();
await consumer.subscribe({ topic });
const joined = new Promise<void>(resolve => {
  consumer.on(consumer.events.GROUP_JOIN, async ({ payload }) => {
    const mine = new Set<number>(payload.memberAssignment[topic] ?? []);
    if (mine.size > 0) await redis.hset(ownersKey, Object.fromEntries([...mine].map(partition => [partition, url])));
    for (const [partition, sockets] of socketsOf) {
      if (!mine.has(partition)) for (const socket of sockets) socket.close(1012, 'moved');
    }
    resolve();
  });
});
await consumer.run({
  eachMessage: async ({ message }) => {
    pubSub.emit(String(message.key), JSON.parse(String(message.value)));
  },
});
await joined;
process.stdout.write(`ready ${url}\n`);

process.stdin.on('end', () => process.exit(1)).resume();
process.once('SIGTERM', async () => {
  await consumer.disconnect();
  for (const socket of webSockets.clients) socket.close(1012, 'leaving');
  redis.disconnect();
  server.close();
  setTimeout(() => process.exit(0), 200);
});
