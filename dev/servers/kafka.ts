import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ProcessSpec } from '../processes/kept-process.ts';
import { javaCommand } from '../requirements.mjs';
import { Trouble } from '../stack/trouble.ts';
import type { TlsFiles } from './tls.ts';

/** One broker, which is a controller too. */
export interface KafkaNode {
  id: number;
  port: number;
  controllerPort: number;
}

export interface KafkaCluster {
  /** 22 characters, see {@link newClusterId}. */
  clusterId: string;
  /** Holds node-1, node-2, … */
  folder: string;
  /** The jars. */
  jarsFolder: string;
  nodes: readonly KafkaNode[];
  /** Partition count of topics that are created without one. */
  partitions: number;
  tls: TlsFiles | undefined;
}

const log4j = join(import.meta.dirname, 'log4j2.properties');
const smallJvm = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:+ExitOnOutOfMemoryError'];

/** server.properties of one node. Three nodes keep three copies, of which two must have a record before it counts. */
export function nodeProperties(cluster: KafkaCluster, node: KafkaNode): string {
  const { nodes, tls } = cluster;
  const copies = nodes.length;
  const listener = tls === undefined ? 'PLAINTEXT' : 'SSL';
  const properties: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': node.id,
    'controller.quorum.voters': nodes.map(({ id, controllerPort }) => `${id}@127.0.0.1:${controllerPort}`).join(','),
    listeners: `${listener}://127.0.0.1:${node.port},CONTROLLER://127.0.0.1:${node.controllerPort}`,
    'advertised.listeners': `${listener}://127.0.0.1:${node.port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': `${listener}:${listener},CONTROLLER:${listener}`,
    'inter.broker.listener.name': listener,
    'log.dirs': join(cluster.folder, `node-${node.id}`),
    'num.partitions': cluster.partitions,
    'default.replication.factor': copies,
    'min.insync.replicas': Math.max(1, copies - 1),
    'offsets.topic.replication.factor': copies,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': Math.max(1, copies - 1),
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': Math.max(1, copies - 1),
    'share.coordinator.state.topic.num.partitions': 4,
    'auto.create.topics.enable': false,
    'log.message.timestamp.type': 'LogAppendTime', // a record's time is when the log had it, whoever's clock wrote it
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1_000,
    'broker.session.timeout.ms': 3_000,
    'broker.heartbeat.interval.ms': 500,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'log.cleaner.dedupe.buffer.size': 2_097_152,
  };
  if (tls !== undefined) {
    Object.assign(properties, {
      'ssl.keystore.type': 'PKCS12',
      'ssl.keystore.location': tls.keyStore,
      'ssl.keystore.password': tls.password,
      'ssl.key.password': tls.password,
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': tls.caFile,
    });
  }
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${String(value).replaceAll('\\', '\\\\')}\n`)
    .join('');
}

/** Writes the nodes' properties and formats the folders of those that are new. */
export async function prepareKafka(cluster: KafkaCluster): Promise<void> {
  await mkdir(cluster.folder, { recursive: true });
  await Promise.all(
    cluster.nodes.map(async node => {
      await writeFile(propertiesFile(cluster, node), nodeProperties(cluster, node), { mode: 0o600 });
      if (!existsSync(join(cluster.folder, `node-${node.id}`, 'meta.properties'))) await format(cluster, node);
    }),
  );
}

async function format(cluster: KafkaCluster, node: KafkaNode): Promise<void> {
  const args = ['format', '--cluster-id', cluster.clusterId, '--config', propertiesFile(cluster, node)];
  try {
    await promisify(execFile)(javaCommand(), [
      ...javaArguments(cluster.jarsFolder),
      'kafka.tools.StorageTool',
      ...args,
    ]);
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1);
    throw new Trouble(`Kafka's folder could not be formatted: ${said || String(error)}`);
  }
}

export function kafkaSpec(cluster: KafkaCluster, node: KafkaNode, env: NodeJS.ProcessEnv): ProcessSpec {
  return {
    command: javaCommand(),
    args: [...javaArguments(cluster.jarsFolder), 'kafka.Kafka', propertiesFile(cluster, node)],
    env,
  };
}

/** The JVM's arguments before the class to run; the archive is used where it exists. */
export function javaArguments(jarsFolder: string, archive = classArchive(jarsFolder)): string[] {
  const shared = existsSync(archive) ? [`-XX:SharedArchiveFile=${archive}`] : [];
  return [...smallJvm, ...shared, `-Dlog4j2.configurationFile=${log4j}`, '-cp', join(jarsFolder, '*')];
}

/** Where class-archive.ts leaves what makes the jars start faster. */
export function classArchive(jarsFolder: string): string {
  return `${jarsFolder}.jsa`;
}

function propertiesFile(cluster: KafkaCluster, node: KafkaNode): string {
  return join(cluster.folder, `node-${node.id}.properties`);
}

/** 16 random bytes as Kafka writes them. One that starts with a dash would be taken for an option. */
export function newClusterId(randomBytes: (size: number) => Buffer): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url');
    if (!id.startsWith('-')) return id;
  }
}
