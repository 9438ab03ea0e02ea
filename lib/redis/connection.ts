import { readFileSync } from 'node:fs';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { type Ops, parseRedisAddress, type RedisAddress } from '../ops/index.ts';

/** Longest wait for an answer, ms. Whatever needs Redis has a way to do without it: better a quick no than a hang. */
const commandTimeoutMs = 1_000;
/** A server that says nothing for so long although it was asked is given up: what waits for it would pile up. */
const silenceMs = 2_000;
const connectTimeoutMs = 2_000;
/** How often a server that keeps its connection is asked whether it still answers, ms. */
const probeMs = 1_000;
const firstRetryMs = 50;
const mostRetryMs = 1_000;

/** One server, the master that sentinels name, or a cluster: what the others need of it is the same. */
export type RedisClient = Redis | Cluster;

/** Where Redis is, and the certificate authority of its TLS where the system does not know it. */
export interface RedisConfig {
  url: string;
  tlsCaFile: string | undefined;
}

const retry = (times: number) => Math.min(mostRetryMs, firstRetryMs * 2 ** Math.min(times, 10));

const options = {
  commandTimeout: commandTimeoutMs,
  socketTimeout: silenceMs,
  connectTimeout: connectTimeoutMs,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  retryStrategy: retry,
  // A master that was made a replica under an open connection: look for the new one.
  reconnectOnError: error => error.message.startsWith('READONLY'),
} satisfies RedisOptions;

/**
 * A connection that never makes anybody wait: while Redis is away every command rejects at once, and it connects again
 * by itself within about a second of Redis being back. `onState` is told what is wrong, undefined when all is well.
 */
export function connectRedis(
  config: RedisConfig,
  ops: Pick<Ops, 'log'>,
  onState: (problem: string | undefined) => void,
): RedisClient {
  const redis = clientOf(parseRedisAddress(config.url), config.tlsCaFile);
  onState('connecting');
  redis.on('ready', () => onState(undefined));
  const refresh = () => refreshAccess(redis, config);
  if (redis instanceof Cluster) redis.on('node error', refresh).on('-node', refresh);
  redis.on('close', () => {
    refresh();
    onState('Redis is away');
  });
  // Each failed attempt is an error event; `close` has said it once.
  redis.on('error', (error: unknown) => ops.log.debug({ event: 'redis_error', error }, 'a connection to Redis failed'));
  return redis;
}

/**
 * The same; its state is the readiness reason `redis`, also for a server that keeps its connection and says nothing: it
 * is asked every second.
 */
export function openRedis(config: RedisConfig, ops: Pick<Ops, 'log' | 'readiness'>): RedisClient {
  let trouble: string | undefined = 'connecting';
  const tell = (reason: string | undefined) => {
    ops.readiness.set('redis', reason);
    if (reason === trouble) return;
    if (reason !== undefined) ops.log.warn({ event: 'redis_away', reason }, reason);
    else if (trouble !== 'connecting') ops.log.info({ event: 'redis_back' }, 'Redis is back');
    trouble = reason;
  };
  const redis = connectRedis(config, ops, tell);
  let probing = false;
  const probe = setInterval(() => {
    if (redis.status !== 'ready' || probing) return;
    probing = true;
    redis
      .ping()
      .then(
        () => tell(undefined),
        () => {
          if (redis.status === 'ready') tell(`Redis has not answered for ${commandTimeoutMs} ms`);
        },
      )
      .finally(() => {
        probing = false;
      });
  }, probeMs).unref();
  redis.on('end', () => clearInterval(probe));
  return redis;
}

/** Lets the next connection log in as the configuration says now: a password may have been rotated since the last one. */
function refreshAccess(redis: RedisClient, config: RedisConfig): void {
  const { username, password } = parseRedisAddress(config.url);
  // A cluster keeps a copy of the options for its nodes, and has no other way to change them.
  const pool = (redis as { connectionPool?: { redisOptions?: RedisOptions } }).connectionPool;
  const options = redis instanceof Cluster ? [redis.options.redisOptions, pool?.redisOptions] : [redis.options];
  for (const one of options) Object.assign(one ?? {}, { username, password });
}

/** Another connection to the same Redis, as one is needed that only listens. */
export function anotherConnection(redis: RedisClient): RedisClient {
  return redis instanceof Cluster ? redis.duplicate() : redis.duplicate();
}

/** Ends a connection, whatever state it is in; a second call does no harm. */
export function closeRedis(redis: RedisClient): void {
  redis.disconnect();
}

function clientOf(address: RedisAddress, tlsCaFile: string | undefined): RedisClient {
  const { kind, hosts, masterName, username, password, database } = address;
  const tls = address.tls ? { tls: tlsCaFile === undefined ? {} : { ca: readFileSync(tlsCaFile) } } : {};
  const access = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...tls,
  };
  switch (kind) {
    case 'single': {
      const [{ host, port } = { host: '', port: 0 }] = hosts;
      return new Redis({ ...options, ...access, host, port, db: database });
    }
    case 'sentinel':
      return new Redis({
        ...options,
        ...access,
        db: database,
        sentinels: [...hosts],
        name: masterName,
        sentinelRetryStrategy: retry,
        sentinelCommandTimeout: commandTimeoutMs,
        // Without `failoverDetector`: in ioredis 6.0.0 it ends a client for good that is just connecting again. A master
        // that is demoted closes its connections, or says READONLY.
        ...(address.sentinelUsername === undefined ? {} : { sentinelUsername: address.sentinelUsername }),
        ...(address.sentinelPassword === undefined ? {} : { sentinelPassword: address.sentinelPassword }),
        ...('tls' in tls ? { enableTLSForSentinelMode: true, sentinelTLS: tls.tls } : {}),
      });
    case 'cluster': {
      // What a connection to one node must not do by itself: the cluster finds another.
      const { enableOfflineQueue: _, retryStrategy: __, reconnectOnError: ___, ...node } = options;
      return new Cluster([...hosts], {
        enableOfflineQueue: false,
        clusterRetryStrategy: retry,
        slotsRefreshTimeout: connectTimeoutMs,
        slotsRefreshInterval: 2_000,
        maxRedirections: 5,
        redisOptions: { ...node, ...access },
        // TLS certificates are for names, nodes tell addresses: ask for none to be looked up.
        ...(address.tls ? { dnsLookup: (name, done) => done(null, name) } : {}),
      });
    }
  }
}
