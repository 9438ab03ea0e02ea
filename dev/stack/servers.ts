import { randomBytes } from 'node:crypto';
import { javaProblem } from '../requirements.mjs';
import { type ServerFiles, serverFiles } from '../servers/cache.ts';
import { type KafkaCluster, kafkaSpec, newClusterId, prepareKafka } from '../servers/kafka.ts';
import { registeredBrokers } from '../servers/kafka-probe.ts';
import { openDatabase, postgresPrograms, postgresSpec, postgresUrl, preparePostgres } from '../servers/postgres.ts';
import { redisAnswers, redisCommand, redisSpec } from '../servers/redis.ts';
import { tlsFiles } from '../servers/tls.ts';
import { filesOf, readSettings, type Settings, saveSettings, settle } from './folder.ts';
import { openPorts, type Ports } from './ports.ts';
import type { Work } from './supervisor.ts';
import { type Report, Trouble } from './trouble.ts';

/** Where Kafka, Redis and PostgreSQL are, ours or the user's. */
export interface ServerAddresses {
  /** host:port */
  kafka: readonly string[];
  /** PEM; only where the brokers are ours and speak TLS. */
  kafkaCaFile: string | undefined;
  redis: string;
  postgres: string;
}

export interface ServerPlan {
  addresses: ServerAddresses;
  /** Those that the stack runs itself. */
  servers: readonly Work[];
  settings: Settings;
  ports: Ports;
}

export interface ServerWishes {
  folder: string;
  brokers: 1 | 3 | undefined;
  partitions: number | undefined;
  tls: boolean;
  /** Ports that are spoken for. */
  reservedPorts: readonly number[];
  /** PENSTOCK_* of the caller; a server whose address is among them is not started. */
  given: Readonly<Record<string, string>>;
  /** The environment of the servers. */
  env: NodeJS.ProcessEnv;
}

/** Fetches what is missing, gives out ports and prepares the data folders, all at once. Starts nothing. */
export async function prepareServers(wishes: ServerWishes, report: Report, signal: AbortSignal): Promise<ServerPlan> {
  const { folder, given } = wishes;
  const own = {
    kafka: given.PENSTOCK_KAFKA_BROKERS === undefined,
    redis: given.PENSTOCK_REDIS_URL === undefined,
    postgres: given.PENSTOCK_POSTGRES_URL === undefined,
  };
  if (wishes.tls && !own.kafka) {
    throw new Trouble('--tls is for brokers of the stack; for your own set PENSTOCK_KAFKA_TLS_CA_FILE');
  }
  const problem = own.kafka ? javaProblem() : undefined;
  if (problem !== undefined) throw new Trouble(problem);
  const settings = settle(readSettings(folder), wishes, () => newClusterId(randomBytes));
  const ports = openPorts(settings.ports, wishes.reservedPorts);
  const fetched = own.kafka || own.redis ? await serverFiles(report, signal) : undefined;

  const preparing = [
    own.kafka && fetched ? kafkaServers(wishes, settings, ports, fetched) : undefined,
    own.redis && fetched ? redisServer(wishes, ports, fetched, report) : undefined,
    own.postgres ? postgresServer(wishes, ports) : undefined,
  ] as const;
  await Promise.allSettled(preparing); // one that fails must not leave another's work half done behind our back
  const [kafka, redis, postgres] = await Promise.all(preparing);
  saveSettings(folder, { ...settings, ports: ports.all() });
  return {
    addresses: {
      kafka: kafka?.brokers ?? (given.PENSTOCK_KAFKA_BROKERS ?? '').split(',').map(address => address.trim()),
      kafkaCaFile: kafka?.caFile,
      redis: redis?.url ?? given.PENSTOCK_REDIS_URL ?? '',
      postgres: postgres?.url ?? given.PENSTOCK_POSTGRES_URL ?? '',
    },
    servers: [...(kafka?.servers ?? []), ...(redis ? [redis.server] : []), ...(postgres ? [postgres.server] : [])],
    settings,
    ports,
  };
}

const probeTimeoutMs = 5_000;

async function kafkaServers(wishes: ServerWishes, settings: Settings, ports: Ports, fetched: ServerFiles) {
  const files = filesOf(wishes.folder);
  const nodes: { id: number; port: number; controllerPort: number }[] = [];
  for (let id = 1; id <= settings.brokers; id++) {
    nodes.push({
      id,
      port: await ports.take(`kafka-${id}`),
      controllerPort: await ports.take(`kafka-${id}-controller`),
    });
  }
  const tls = wishes.tls ? await tlsFiles(files.tls) : undefined;
  const { clusterId, partitions } = settings;
  const cluster: KafkaCluster = {
    clusterId,
    folder: files.kafka,
    jarsFolder: fetched.kafkaFolder,
    nodes,
    partitions,
    tls,
  };
  await prepareKafka(cluster);
  return {
    brokers: nodes.map(({ port }) => `127.0.0.1:${port}`),
    caFile: tls?.caFile,
    servers: nodes.map<Work>(node => ({
      name: `kafka-${node.id}`,
      kind: 'server',
      stopSignal: 'SIGTERM',
      spec: async () => kafkaSpec(cluster, node, wishes.env),
      async probe() {
        const known = await registeredBrokers(node.port, tls?.caFile, probeTimeoutMs);
        if (known < nodes.length) throw new Error(`${known} of ${nodes.length} brokers are registered`);
      },
    })),
  };
}

async function redisServer(wishes: ServerWishes, ports: Ports, fetched: ServerFiles, report: Report) {
  const port = await ports.take('redis');
  const command = redisCommand(fetched.redisBinary, report);
  const server: Work = {
    name: 'redis',
    kind: 'server',
    stopSignal: 'SIGTERM',
    spec: () => redisSpec(command, filesOf(wishes.folder).redis, port, wishes.env),
    async probe() {
      if (!(await redisAnswers(port, probeTimeoutMs))) throw new Error('Redis is loading its data');
    },
  };
  return { url: `redis://127.0.0.1:${port}`, server };
}

async function postgresServer(wishes: ServerWishes, ports: Ports) {
  const port = await ports.take('postgres');
  const { postgres: folder } = filesOf(wishes.folder);
  const programs = await postgresPrograms(folder);
  await preparePostgres(programs, folder);
  const server: Work = {
    name: 'postgres',
    kind: 'server',
    stopSignal: 'SIGINT', // "fast": SIGTERM would wait for its clients
    spec: async () => postgresSpec(programs, folder, port, wishes.env),
    probe: () => openDatabase(port, probeTimeoutMs),
  };
  return { url: postgresUrl(port), server };
}
