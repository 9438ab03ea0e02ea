import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import kafkajs, { type SASLOptions } from 'kafkajs';
import type { Registry } from 'prom-client';
import type { Logger, PenstockConfig, Readiness } from '../ops/index.ts';
import { openBrokerReports } from './broker-reports.ts';
import { Cluster } from './cluster.ts';
import { kafkajsLogCreator } from './kafka-log.ts';
import { patchRequestQueue } from './kafkajs-internals.ts';
import type { LinkSettings } from './link.ts';
import { openSkips, type Skips } from './skips.ts';
import { openTopics } from './topics.ts';

export interface KafkaOps {
  log: Logger;
  /** Becomes Kafka's client id. */
  service: string;
  metrics: Registry;
  /** Where it is said that a broker is too old (a reason) or throttles this process (a warning); a command has none. */
  readiness?: Pick<Readiness, 'set' | 'warn'>;
}

/**
 * How to reach Kafka: addresses, TLS, SASL. Nothing is connected here; each part opens the links it needs when it needs
 * them, so that Kafka may be absent at start: calls reject with `KafkaUnavailableError`, readers, lanes and group
 * members try again by themselves.
 */
export interface KafkaConnection {
  readonly ops: KafkaOps;
  /** An operator has given these offsets up because they can't be read: every reader passes over them. */
  readonly skips: Skips;
  /** A view of the cluster with links of its own, so that a long poll never stands before another request. */
  openCluster(purpose: string): Cluster;
  /** Closes every link; parts that are still open fail from then on. */
  close(): Promise<void>;
}

const keepAliveMs = 10_000;

/**
 * Each link reads the TLS files and the SASL credentials anew, so that those which are rotated count for the next one. Files that
 * can't be read any more leave those of before.
 * @throws Error when a TLS file cannot be read, or SASL is configured in part.
 */
export function connectKafka(config: PenstockConfig<'kafka'>['kafka'], ops: KafkaOps): KafkaConnection {
  patchRequestQueue();
  let tlsOptions = readTls(config);
  readSasl(config);
  const kafka = new kafkajs.Kafka({
    brokers: config.brokers,
    clientId: ops.service,
    logLevel: kafkajs.logLevel.WARN,
    logCreator: kafkajsLogCreator(ops.log),
  });
  const reports = openBrokerReports(ops);
  const settings: LinkSettings = {
    clientId: ops.service,
    logger: kafka.logger(),
    get ssl() {
      try {
        tlsOptions = readTls(config);
      } catch (error) {
        ops.log.warn(
          { event: 'secret_unreadable', error },
          'the TLS files for Kafka are kept as they were: they cannot be read',
        );
      }
      return tlsOptions;
    },
    /** A new object each time: kafkajs keeps what it has made of one inside it. */
    get sasl() {
      return readSasl(config);
    },
    socketFactory: openSocket,
    connectTimeoutMs: 3_000,
    requestTimeoutMs: 5_000,
    reports,
  };
  const clusters = new Set<Cluster>();
  let closed = false;
  const connection: KafkaConnection = {
    ops,
    skips: openSkips(() => openTopics(connection, { honourSkips: false }), ops),
    openCluster(purpose) {
      const cluster = new Cluster(config.brokers, settings, purpose, () => clusters.delete(cluster));
      if (closed) cluster.close();
      else clusters.add(cluster);
      return cluster;
    },
    async close() {
      closed = true;
      connection.skips.close();
      for (const cluster of [...clusters]) cluster.close();
      reports.close();
    },
  };
  return connection;
}

function readTls(config: PenstockConfig<'kafka'>['kafka']): tls.ConnectionOptions | undefined {
  const { tls: enabled, tlsCaFile, tlsCertFile, tlsKeyFile } = config;
  if (!enabled && tlsCaFile === undefined) {
    if (tlsCertFile !== undefined || tlsKeyFile !== undefined) {
      throw new Error(
        'PENSTOCK_KAFKA_TLS_CERT_FILE and …_KEY_FILE need PENSTOCK_KAFKA_TLS_CA_FILE, or PENSTOCK_KAFKA_TLS=true',
      );
    }
    return undefined;
  }
  if ((tlsCertFile === undefined) !== (tlsKeyFile === undefined)) {
    throw new Error('PENSTOCK_KAFKA_TLS_CERT_FILE and PENSTOCK_KAFKA_TLS_KEY_FILE belong together');
  }
  return {
    ...(tlsCaFile === undefined ? {} : { ca: readFileSync(tlsCaFile) }),
    ...(tlsCertFile === undefined ? {} : { cert: readFileSync(tlsCertFile) }),
    ...(tlsKeyFile === undefined ? {} : { key: readFileSync(tlsKeyFile) }),
  };
}

function readSasl(config: PenstockConfig<'kafka'>['kafka']): SASLOptions | undefined {
  const { saslMechanism: mechanism, saslUsername: username, saslPassword: password } = config;
  if (mechanism === undefined) return undefined;
  if (username === undefined || password === undefined) {
    throw new Error('PENSTOCK_KAFKA_SASL_MECHANISM needs PENSTOCK_KAFKA_SASL_USERNAME and …_PASSWORD');
  }
  return { mechanism, username, password } as SASLOptions;
}

/** Without Nagle (a request must not wait for the last one's ACK), with keep-alive probes. */
function openSocket(options: {
  host: string;
  port: number;
  ssl?: tls.ConnectionOptions;
  onConnect: () => void;
}): net.Socket {
  const { host, port, ssl, onConnect } = options;
  const servername = net.isIP(host) === 0 ? { servername: host } : {};
  const socket = ssl
    ? tls.connect({ host, port, ...servername, ...ssl }, onConnect)
    : net.connect({ host, port }, onConnect);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, keepAliveMs);
  return socket;
}
