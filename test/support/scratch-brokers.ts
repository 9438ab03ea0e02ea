import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KafkaCluster, type KafkaNode, kafkaSpec, newClusterId, prepareKafka } from '../../dev/servers/kafka.ts';
import { tlsFiles } from '../../dev/servers/tls.ts';
import { freePorts } from './free-ports.ts';
import { openScratchKafka } from './scratch-kafka.ts';
import { until } from './until.ts';

/** Brokers of a test's own, to be killed, paused and started again. */
export interface ScratchBrokers {
  addresses: readonly string[];
  /** Of the authority that signed the brokers' certificate, with `tls`. */
  caFile: string | undefined;
  /** kill -9. Ids count from 1. */
  kill(id: number): Promise<void>;
  pause(id: number): void;
  resume(id: number): void;
  /** Starts a killed one again, on its old data. Resolves when the process runs, not when it answers. */
  start(id: number): void;
  /** Kills all of them and removes their data. */
  close(): Promise<void>;
}

/** Resolves when every broker answers. The jars come from TEST_KAFKA_LIBS; a test without them must fail. */
export async function startScratchBrokers(count: 1 | 3, options: { tls?: boolean } = {}): Promise<ScratchBrokers> {
  const jarsFolder = process.env.TEST_KAFKA_LIBS;
  if (jarsFolder === undefined) throw new Error("TEST_KAFKA_LIBS (the folder of Kafka's jars) is not set");
  const folder = await mkdtemp(join(tmpdir(), 'penstock-brokers-'));
  const ports = await freePorts(count * 2);
  const nodes: KafkaNode[] = Array.from({ length: count }, (_, i) => ({
    id: i + 1,
    port: ports[i * 2] ?? 0,
    controllerPort: ports[i * 2 + 1] ?? 0,
  }));
  const clusterId = newClusterId(randomBytes);
  const tls = options.tls === true ? await tlsFiles(join(folder, 'tls')) : undefined;
  const cluster: KafkaCluster = { clusterId, folder, jarsFolder, nodes, partitions: 24, tls };
  await prepareKafka(cluster);
  const running = new Map<number, ChildProcess>();

  function start(id: number): void {
    const node = nodes.find(one => one.id === id);
    if (node === undefined || running.has(id)) throw new Error(`there is no broker ${id} to start`);
    const { command, args, env } = kafkaSpec(cluster, node, process.env);
    running.set(id, spawn(command, args, { env, stdio: 'ignore' }));
  }

  async function kill(id: number): Promise<void> {
    const child = running.get(id);
    if (child === undefined) return;
    running.delete(id);
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  async function close(): Promise<void> {
    await Promise.all([...running.keys()].map(kill));
    await rm(folder, { recursive: true, force: true });
  }

  for (const { id } of nodes) start(id);
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  try {
    await until('all brokers are in the cluster', () => areUp(addresses, tls?.caFile), 180_000);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    addresses,
    caFile: tls?.caFile,
    kill,
    pause: id => void running.get(id)?.kill('SIGSTOP'),
    resume: id => void running.get(id)?.kill('SIGCONT'),
    start,
    close,
  };
}

async function areUp(addresses: readonly string[], caFile: string | undefined): Promise<boolean> {
  const kafka = openScratchKafka(addresses, { tlsCaFile: caFile });
  const cluster = kafka.connection.openCluster('up');
  try {
    const { brokers } = await cluster.refresh([]);
    return brokers.length === addresses.length;
  } catch {
    await new Promise(resolve => setTimeout(resolve, 200)); // a Java process has better things to do while it starts
    return false;
  } finally {
    await kafka.close();
  }
}
