import { z } from 'zod';
import { type ConfigOf, env, type Variable } from './config.ts';
import { tracingVariables } from './tracing/variables.ts';

const v = <T>(schema: z.ZodType<T>, doc: string, more: Partial<Variable<T>> = {}): Variable<T> => ({
  schema,
  doc,
  ...more,
});
const integer = (min: number, max: number, byDefault: number) => env.integer(min, max).default(byDefault);
const flag = (byDefault: boolean) => env.flag().default(byDefault);
const text = (byDefault: string) => env.text().default(byDefault);

const areKeys = (secrets: string): boolean =>
  secrets.split(',').every(item => {
    const colon = item.indexOf(':');
    return item.trim() === '' || (colon > 0 && Buffer.from(item.slice(colon + 1), 'base64').length >= 32);
  });

/** Every environment variable of every service. `npm run docs:config` prints it to docs/configuration.md. */
export const catalogue = {
  log: {
    level: v(
      z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
      'least severe level that is logged',
    ),
  },
  drain: {
    timeoutMs: v(integer(0, 600_000, 25_000), 'longest time from SIGTERM to exit, ms'),
  },
  watchdog: {
    timeoutMs: v(
      integer(0, 3_600_000, 10_000),
      'a process whose event loop stands still for so long is ended, ms; 0: never. Time in which the whole process was stopped does not count',
    ),
    file: v(
      env.text().optional(),
      "file in which the watchdog notes each process that it ends, for `penstock_watchdog_restarts_total`; must outlive the process, and be no other's",
    ),
  },
  admin: {
    host: v(text('127.0.0.1'), 'address of the admin port'),
    port: v(integer(0, 65_535, 0), 'admin port: /livez, /readyz, /metrics; 0 takes a free one'),
  },
  tracing: tracingVariables,
  http: {
    listen: v(
      env.list().default(['127.0.0.1:0']),
      'addresses host:port to serve on, comma-separated; several processes may share one on Linux (SO_REUSEPORT)',
    ),
    allowedOrigins: v(
      env.origins().default([]),
      'origins as `https://app.example`, comma-separated, whose pages may use the router besides its own; see docs/operations.md',
    ),
    maxHeaderBytes: v(integer(1_024, 1_048_576, 32_768), 'most bytes of the headers of a request, its URL included'),
  },
  site: {
    folder: v(
      env.text().optional(),
      'folder of the pages that the router serves, as `npm run web` builds them; default: `dist/web` beside the services, where the image has them',
    ),
    graphiql: v(flag(true), 'serve GraphiQL at /graphiql; false: 404'),
  },
  app: {
    schema: v(env.text(), "the app's GraphQL schema: a file, or the schema itself", { name: 'PENSTOCK_SCHEMA' }),
    folder: v(env.text().optional(), 'folder of the app, with commands.ts; the command handler needs it'),
  },
  kafka: {
    brokers: v(env.list(), 'bootstrap brokers host:port, comma-separated'),
    tls: v(
      flag(false),
      'connect with TLS; the authorities are those of the system unless PENSTOCK_KAFKA_TLS_CA_FILE is set',
    ),
    tlsCaFile: v(env.file(), 'PEM file of the certificate authority; when set, connections use TLS', {
      certificates: true,
    }),
    tlsCertFile: v(env.file(), 'PEM file of the client certificate, for mutual TLS', { certificates: true }),
    tlsKeyFile: v(env.file(), 'PEM file of the client key, for mutual TLS'),
    saslMechanism: v(
      z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(),
      'SASL mechanism; none when not set',
    ),
    saslUsername: v(env.text().optional(), 'SASL user', { secret: true }),
    saslPassword: v(env.text().optional(), 'SASL password', { secret: true }),
    sessionTimeoutMs: v(integer(1_000, 300_000, 6_000), 'group session time-out of the control groups, ms'),
    heartbeatIntervalMs: v(integer(50, 60_000, 250), 'heartbeat interval of the control groups, ms'),
    fetchMaxWaitMs: v(integer(1, 30_000, 500), 'longest time a fetch waits at the broker, ms'),
    fetchPaceMs: v(
      integer(0, 1_000, 2),
      'least time between two fetches of a gateway or handler, ms: under load they are fewer and larger; a record after a silence is not held up',
    ),
    producePaceMs: v(integer(0, 1_000, 1), 'the same between two produce requests to a broker, ms'),
    fetchPartitionBytes: v(integer(1_024, 104_857_600, 262_144), 'bytes asked for per partition and fetch'),
    laneBufferBytes: v(integer(65_536, 1_073_741_824, 16_777_216), 'bytes waiting to be produced before callers wait'),
    createTopics: v(flag(false), "create the topics that the app's schema names when they are missing"),
    partitions: v(integer(1, 100_000, 24), 'partition count of topics that are created'),
    replicationFactor: v(integer(1, 15, 1), 'replication factor of topics that are created'),
  },
  redis: {
    url: v(
      env.redis(),
      'Redis: `redis://[user:password@]host:port`, `redis+sentinel://host:port,…/master-name` or `redis+cluster://host:port,…`; `rediss` for TLS',
      { secret: true },
    ),
    tlsCaFile: v(env.file(), 'PEM file of the certificate authority, for `rediss`; default: those of the system', {
      certificates: true,
    }),
  },
  postgres: {
    url: v(env.url(), 'PostgreSQL, postgres://', { secret: true }),
    tlsCaFile: v(
      env.file(),
      "PEM file of the certificate authority; when set, the server's certificate is checked against it unless the URL has `sslrootcert` or `sslmode=disable`",
      { certificates: true },
    ),
    poolSize: v(integer(1, 1_000, 10), 'connections of this process'),
  },
  auth: {
    issuer: v(
      text('penstock'),
      'iss of access tokens; another issuer than the local one also needs PENSTOCK_AUTH_JWKS_URL',
    ),
    audience: v(text('penstock'), 'aud of access tokens'),
    jwksUrl: v(env.url().optional(), "the issuer's JWKS; when not set, the router issues access tokens itself"),
    localSignUp: v(flag(false), 'local issuer: create an unknown user at its first login'),
    localRoles: v(env.json(z.record(z.string(), z.array(z.string()))).default({}), 'local issuer: JSON, user → roles', {
      example: '{"auditor":["auditor"]}',
    }),
    tokenTtlSeconds: v(integer(1, 86_400, 3_600), 'local issuer: life of an access token, s'),
    keyRotationSeconds: v(integer(60, 31_536_000, 604_800), 'age at which the router replaces a signing key, s'),
  },
  login: {
    maxBodyBytes: v(integer(256, 1_048_576, 16_384), 'local issuer: largest body of a login'),
    maxWaiting: v(
      integer(1, 1_000_000, 1_000),
      'local issuer: logins that wait for their password to be checked; a further one gets 429',
    ),
    maxFailures: v(
      integer(1, 1_000, 5),
      'local issuer: failed logins of a user after which each further one has to wait; ten times as many of an address',
    ),
  },
  route: {
    jwksUrl: v(env.url(), "the router's JWKS, with which gateways verify route tokens"),
    tokenTtlSeconds: v(integer(1, 60, 60), 'life of a route token, s'),
    ownerWaitMs: v(integer(0, 120_000, 10_000), 'how long the router waits for an unowned partition, ms'),
    trustedProxies: v(
      env.list().default([]),
      'addresses or CIDR ranges of proxies before the router whose X-Forwarded-For and X-Forwarded-Proto are believed',
    ),
    maxConnections: v(integer(1, 1_000_000, 20_000), 'client connections of one router'),
    connectTimeoutMs: v(integer(10, 60_000, 2_000), 'how long connecting to a gateway may take, ms'),
    maxPending: v(
      integer(1, 1_000_000, 256),
      'WebSocket upgrades that one gateway is asked for at once; the others wait in order, no longer than for an owner',
    ),
    maxWaiting: v(
      integer(1, 10_000_000, 10_000),
      'WebSocket upgrades that wait for one gateway; further ones are closed with 1013, and from half of it on /route answers 429 with Retry-After',
    ),
    maxUnowned: v(
      integer(1, 10_000_000, 10_000),
      'requests and WebSocket upgrades that wait for an owner of their partition; a further one gets 429, or 1013',
    ),
    answerTimeoutMs: v(
      integer(100, 600_000, 60_000),
      "how long a gateway's answer to an HTTP request may take to begin, ms",
    ),
    upgradeTimeoutMs: v(integer(100, 60_000, 5_000), "how long a gateway's answer to a WebSocket upgrade may take, ms"),
  },
  ownership: {
    group: v(text('penstock-gateway'), 'consumer group of the gateways; also the name space in Redis'),
    handoverWindowMs: v(
      integer(0, 60_000, 2_000),
      'clients of a lost partition are closed with 1012 within this window, ms',
    ),
    peerListen: v(
      text('127.0.0.1:0'),
      'host:port on which the other members of its group (and routers) notice that this process has died; an address that they can reach',
    ),
    peerSilenceMs: v(
      integer(400, 60_000, 2_000),
      'a member that was last heard of so long ago, and does not answer a new connection, is put out of its group; routers send its clients to others, ms',
    ),
  },
  gateway: {
    advertisedUrl: v(
      env.url().optional(),
      'URL under which routers reach this gateway; default: the address it listens on',
    ),
    pingIntervalMs: v(integer(100, 60_000, 8_000), 'interval of pings that carry cursors, ms'),
    socketBufferBytes: v(
      integer(16_384, 1_073_741_824, 1_048_576),
      'bytes waiting for one socket or subscription before reading for it stops',
    ),
    resultBytes: v(
      integer(0, 1_099_511_627_776, 16_777_216),
      'bytes of records and their results that are kept for further subscriptions to take, per gateway',
    ),
    slowTimeoutMs: v(
      integer(100, 600_000, 10_000),
      'how long a client may take next to nothing of a full socket buffer before it is closed with 1013, ms',
    ),
    maxConnections: v(integer(1, 10_000_000, 50_000), 'WebSockets, and as many SSE responses, of one gateway'),
    maxPending: v(
      integer(1, 10_000_000, 10_000),
      'WebSockets of one gateway that have not said who they are; a further one is closed with 1013',
    ),
    maxSubscriptions: v(
      integer(1, 100_000, 100),
      'operations under way on one connection, each until its work has ended, although the client has completed it',
    ),
    maxCommands: v(integer(1, 10_000_000, 20_000), 'commands of one gateway that wait for their feedback'),
    maxDepth: v(integer(1, 1_000, 20), 'deepest selection of an operation'),
    maxAliases: v(integer(0, 10_000, 50), 'aliases of an operation'),
    maxFields: v(
      integer(1, 100_000, 1_000),
      'fields of an operation or a fragment, each fragment counted as often as it is spread',
    ),
    maxTokens: v(integer(1, 1_000_000, 4_000), 'lexical tokens of a GraphQL document'),
    maxNameLength: v(
      integer(16, 65_536, 128),
      'longest name in a GraphQL document, `operationName` included, characters',
    ),
    maxOperationIdLength: v(integer(36, 65_536, 128), "longest id of a WebSocket's operation, characters"),
    maxResponseBytes: v(
      integer(65_536, 1_073_741_824, 8_388_608),
      'largest result of an operation and largest event of a subscription; the rows that an operation reads may be four times as large',
    ),
    maxRequestBytes: v(integer(1_024, 104_857_600, 262_144), 'largest request or WebSocket message'),
  },
  cursor: {
    secrets: v(
      env.text().refine(areKeys, 'must be id:base64, comma-separated, of 32 bytes or more each'),
      'keys that sign cursors, id:base64 comma-separated, 32 bytes or more each; the first signs, all verify',
      { secret: true, example: 'k2:…,k1:…' },
    ),
  },
  replay: {
    scanMaxBytes: v(
      integer(65_536, 1_099_511_627_776, 1_073_741_824),
      'most bytes of the log that one cold replay reads',
    ),
    concurrency: v(integer(1, 10_000, 16), 'cold replays under way at once in a gateway'),
    maxWaiting: v(
      integer(1, 10_000_000, 20_000),
      'cold replays that wait for their turn, users in turn; a further one is refused: LIMIT_EXCEEDED',
    ),
    openTimeoutMs: v(
      integer(100, 600_000, 5_000),
      'how long a subscription waits for Kafka before it is UNAVAILABLE, ms',
    ),
    stallTimeoutMs: v(
      integer(100, 3_600_000, 30_000),
      'how long a cold replay waits for a partition that Kafka does not answer for before its stream is UNAVAILABLE, ms',
    ),
    ringBytes: v(integer(0, 1_099_511_627_776, 67_108_864), 'bytes of recent records kept in memory per gateway'),
    keyRecords: v(integer(1, 1_000_000, 1_000), 'most records of a user key that Redis keeps, per topic'),
    ageMs: v(integer(1_000, 2_592_000_000, 900_000), 'how long Redis keeps a record, ms'),
    partitionBytes: v(
      integer(65_536, 1_099_511_627_776, 16_777_216),
      'bytes of records that Redis keeps, per topic and partition',
    ),
    appendIntervalMs: v(integer(1, 60_000, 50), 'records wait this long to be appended to Redis together, ms'),
    appendsInFlight: v(integer(1, 10_000, 32), 'appends to Redis under way at once in a gateway'),
    fillRecords: v(
      integer(0, 10_000_000, 20_000),
      'most offsets that a new owner reads from Kafka to go on where the last one stopped appending',
    ),
  },
  handler: {
    group: v(text('penstock-command-handler'), 'consumer group of the command handlers'),
    batchCommands: v(integer(1, 10_000, 500), 'most commands in one transaction'),
    bufferBytes: v(
      integer(65_536, 17_179_869_184, 16_777_216),
      'bytes of commands that wait to be taken up before reading stops',
    ),
    windowBytes: v(
      integer(65_536, 1_073_741_824, 12_582_912),
      'bytes of events not yet acknowledged by Kafka before the next batch waits; keep it below the lane buffer',
    ),
    maxValueBytes: v(
      integer(1_024, 104_857_600, 900_000),
      "largest value of a feedback or event; a command that would cause a larger one is refused; keep it below the topics' max.message.bytes",
    ),
    transactionTimeoutMs: v(
      integer(100, 600_000, 5_000),
      'PostgreSQL ends a transaction that stands still for so long, ms: how long a stopped handler can hold up another',
    ),
  },
  projector: {
    group: v(text('penstock-projector'), 'consumer group of the projectors'),
    batchRecords: v(integer(1, 100_000, 2_000), 'most records in one transaction'),
    paceMs: v(
      integer(0, 10_000, 25),
      'least time between two fetches, ms: how far a view may lag behind its topics for the sake of fewer transactions',
    ),
    bufferBytes: v(
      integer(1_048_576, 17_179_869_184, 67_108_864),
      'bytes of records read ahead of the tables before reading waits',
    ),
    deadLetters: v(
      z.enum(['topic', 'skip']).default('topic'),
      'where a record goes that fits no table: to `<topic>-dlt`, which is created at start where it is missing; or nowhere (`skip`), counted and logged',
    ),
  },
} as const;

export type PenstockConfig<K extends keyof typeof catalogue> = ConfigOf<typeof catalogue, K>;
