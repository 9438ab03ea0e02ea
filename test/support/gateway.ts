import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { type Client, type ClientOptions, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { type Lanes, openLanes, openReader, partitionOf } from '../../lib/kafka/index.ts';
import { dieWithUs } from './die-with-us.ts';
import { jwksServer } from './jwks-server.ts';
import { kafkaAddress, openScratchKafka, type ScratchKafka } from './scratch-kafka.ts';
import { type TokenMaker, tokenMaker } from './token-maker.ts';
import { until } from './until.ts';

/** Partitions of the test app's topics. */
export const partitions = 4;

/** The app that these tests speak to; its topics carry a name of their own. */
export const testSchema = (names: TestTopics): string => `
  scalar DateTime
  enum Kind { RED BLUE }
  type Query { notes: [Note!]! @view(table: "note") }
  type Mutation {
    say(commandId: ID, text: String!, times: Int = 1): Heard!
      @command(topic: "${names.commands}", type: "say", feedback: "${names.feedback}", timeoutMs: 60000)
    sayLater(text: String!): Heard!
      @command(topic: "${names.commands}", type: "sayLater", feedback: "${names.feedback}", timeoutMs: 300)
    decree(text: String!): Heard! @requiresRole(anyOf: ["king"])
      @command(topic: "${names.commands}", type: "decree", feedback: "${names.feedback}")
  }
  type Subscription {
    say(commandId: ID, text: String!, times: Int = 1): Heard!
      @command(topic: "${names.commands}", type: "say", feedback: "${names.feedback}", timeoutMs: 60000)
    notes(kind: Kind @where(field: "kind"), min: Int @where(field: "n", op: GTE)): Note! @records(topic: "${names.notes}")
    allNotes(min: Int @where(field: "n", op: GTE)): Note!
      @records(topic: "${names.notes}", scope: ALL) @requiresRole(anyOf: ["auditor"])
  }
  type Heard { commandId: ID! success: Boolean! text: String step: Int }
  type Note @table(name: "note", topics: ["${names.notes}"], id: ["id"]) {
    id: ID! n: Int! kind: Kind! text: String at: DateTime
    offset: Float sequence: Int secret: String @requiresRole(anyOf: ["auditor"])
  }
`;

export interface TestTopics {
  commands: string;
  feedback: string;
  notes: string;
}

/** Kafka topics, an issuer of tokens, and gateway processes between them. */
export interface GatewayLab {
  topics: TestTopics;
  kafka: ScratchKafka;
  lanes: Lanes;
  /** Starts a gateway process and waits until it is ready (unless told not to). */
  gateway(wishes?: GatewayWishes): Promise<TestGateway>;
  accessToken(user: string, claims?: object, header?: object): Promise<string>;
  routeToken(user: string, accessToken: string, claims?: object): Promise<string>;
  /** Writes a note under the user's key; returns its offset. */
  note(user: string, n: number, more?: object, headers?: Record<string, string>): Promise<number>;
  close(): Promise<void>;
}

export interface GatewayWishes {
  env?: Readonly<Record<string, string>>;
  /** Default true. */
  waitUntilReady?: boolean;
}

export interface TestGateway {
  url: string;
  wsUrl: string;
  admin: string;
  process: ChildProcess;
  /** Everything it has logged. */
  log(): string;
  metric(line: string): Promise<number>;
  /** A stock client. */
  client(accessToken: string, options?: Partial<ClientOptions>): Client;
  post(accessToken: string | undefined, body: object, headers?: Record<string, string>): Promise<Response>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** A user whose key lies in this partition. */
export function userIn(partition: number): string {
  for (;;) {
    const user = `user-${randomBytes(4).toString('hex')}`;
    if (partitionOf(user, partitions) === partition) return user;
  }
}

export async function openGatewayLab(): Promise<GatewayLab> {
  const kafka = openScratchKafka();
  const topics: TestTopics = {
    commands: await kafka.topic(partitions, { 'max.message.bytes': '30000' }),
    feedback: await kafka.topic(partitions),
    notes: await kafka.topic(partitions),
  };
  const lanes = openLanes(kafka.connection, { bufferBytes: 16_777_216 });
  const access = await tokenMaker(`access-${randomUUID()}`);
  const route = await tokenMaker(`route-${randomUUID()}`);
  const jwks = await jwksServer({ keys: [access.publicJwk, route.publicJwk] });
  const group = kafka.group();
  const secrets = `k1:${randomBytes(32).toString('base64')}`;
  const running: TestGateway[] = [];
  return {
    topics,
    kafka,
    lanes,
    async gateway({ env = {}, waitUntilReady = true } = {}) {
      const gateway = await startGateway({
        PENSTOCK_SCHEMA: testSchema(topics),
        PENSTOCK_KAFKA_BROKERS: kafkaAddress(),
        PENSTOCK_REDIS_URL: process.env.TEST_REDIS ?? '',
        PENSTOCK_POSTGRES_URL: process.env.TEST_POSTGRES ?? '',
        PENSTOCK_ROUTE_JWKS_URL: jwks.url,
        PENSTOCK_CURSOR_SECRETS: secrets,
        PENSTOCK_OWNERSHIP_GROUP: group,
        PENSTOCK_GATEWAY_PING_INTERVAL_MS: '300',
        ...env,
      });
      running.push(gateway);
      if (waitUntilReady) {
        await until('the gateway is ready', async () => (await fetch(`${gateway.admin}/readyz`)).ok, 60_000);
      }
      return gateway;
    },
    accessToken: (user, claims = {}, header = {}) => accessToken(access, user, claims, header),
    async routeToken(user, token, claims = {}) {
      const now = Math.floor(Date.now() / 1_000);
      const ath = createHash('sha256').update(token).digest('base64url');
      const said = { sub: user, ath, partition: partitionOf(user, partitions), epoch: 0, ...claims };
      const times = { iat: now, exp: now + 60, jti: randomUUID() };
      const issued = { iss: 'penstock-router', aud: 'penstock-gateway', ...times, ...said };
      return route.sign(issued, { typ: 'penstock-route+jwt' });
    },
    async note(user, n, more = {}, headers = {}) {
      const value = JSON.stringify({ id: `${user}-${n}`, n, kind: n % 2 === 0 ? 'RED' : 'BLUE', ...more });
      const at = { topic: topics.notes, partition: partitionOf(user, partitions) };
      return (await lanes.send(at, { key: user, value, headers })).offset;
    },
    async close() {
      for (const gateway of running) await gateway.stop();
      await lanes.close();
      await kafka.close();
      await jwks.close();
    },
  };
}

async function accessToken(maker: TokenMaker, user: string, claims: object, header: object): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  return maker.sign(
    { iss: 'penstock', aud: 'penstock', sub: user, iat: now, exp: now + 600, ...claims },
    { ...header },
  );
}

async function startGateway(env: Readonly<Record<string, string>>): Promise<TestGateway> {
  const main = fileURLToPath(new URL('../../services/gateway/main.ts', import.meta.url));
  const clean = Object.entries(process.env).filter(([name]) => !/^(PENSTOCK_|NODE_TEST)/.test(name));
  const child = spawn(process.execPath, [main], {
    env: { ...Object.fromEntries(clean), ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  dieWithUs(child);
  let log = '';
  child.stderr.setEncoding('utf8').on('data', chunk => {
    log += chunk;
  });
  const exited = new Promise<number | null>(resolve => child.once('exit', resolve));
  let ended = false;
  void exited.then(() => {
    ended = true;
  });
  const found = (pattern: RegExp) => {
    if (ended) throw new Error(`the gateway has ended:\n${log}`);
    return pattern.exec(log)?.[1];
  };
  const admin = await until('the admin port', () => found(/"admin":"([^"]+)"/), 60_000);
  const url = await until('the address', () => found(/"listening":"([^"]+)"/), 60_000);
  const wsUrl = url.replace('http', 'ws');
  return {
    url,
    wsUrl: `${wsUrl}/graphql`,
    admin,
    process: child,
    log: () => log,
    async metric(line) {
      const text = await (await fetch(`${admin}/metrics`)).text();
      const value = text.split('\n').find(candidate => candidate.startsWith(`${line} `));
      return value === undefined ? Number.NaN : Number(value.slice(line.length + 1));
    },
    client: (token, options = {}) =>
      createClient({
        url: `${wsUrl}/graphql`,
        webSocketImpl: WebSocket,
        connectionParams: { accessToken: token },
        retryAttempts: 0,
        lazyCloseTimeout: 0,
        ...options,
      }),
    post: (token, body, headers = {}) =>
      fetch(`${url}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...headers,
        },
        body: JSON.stringify(body),
      }),
    async stop() {
      if (!ended) child.kill('SIGTERM');
      return exited;
    },
  };
}

/** Answers commands as a handler would: `say` with `times` feedbacks, `sayLater` never, a repeated id with the same. */
export async function answerCommands(lab: GatewayLab): Promise<{ seen: SeenCommand[]; close(): Promise<void> }> {
  const reader = openReader(lab.kafka.connection, { maxWaitMs: 50, partitionBytes: 262_144 });
  const seen: SeenCommand[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    const at = { topic: lab.topics.commands, partition };
    reader.assign(at, await lab.kafka.topics.endOffset(at), {
      onBatch({ records }) {
        for (const record of records) {
          const headers = Object.fromEntries(
            Object.entries(record.headers).map(([name, text]) => [name, String(text)]),
          );
          const command: SeenCommand = {
            key: String(record.key),
            value: JSON.parse(String(record.value)),
            headers,
            partition,
          };
          seen.push(command);
          void answer(command);
        }
      },
      onFault: fault => {
        throw new Error(fault);
      },
    });
  }
  return { seen, close: () => reader.close() };

  async function answer({ key, value, headers, partition }: SeenCommand): Promise<void> {
    if (headers.ce_type === 'sayLater') return;
    const times = value.times ?? 1;
    const commandId = headers.ce_id ?? '';
    for (let step = 1; step <= times; step++) {
      const feedback = { commandId, success: true, text: value.text, step };
      await lab.lanes.send(
        { topic: lab.topics.feedback, partition },
        {
          key,
          value: JSON.stringify(feedback),
          headers: {
            ce_commandid: commandId,
            ce_keysequence: '1',
            ...(step < times && { ce_final: 'false' }),
          },
        },
      );
    }
  }
}

export interface SeenCommand {
  key: string;
  value: { text?: string; times?: number; commandId?: string };
  headers: Readonly<Record<string, string>>;
  partition: number;
}
