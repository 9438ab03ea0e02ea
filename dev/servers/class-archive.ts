import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { javaCommand } from '../requirements.mjs';
import { openPorts } from '../stack/ports.ts';
import { classArchive, javaArguments, type KafkaCluster, kafkaSpec, newClusterId, prepareKafka } from './kafka.ts';
import { registeredBrokers } from './kafka-probe.ts';

const upWithinMs = 60_000;
const downWithinMs = 60_000;

/**
 * Runs a broker once, on a folder that is thrown away, and has the JVM keep the classes that it has loaded (a dynamic
 * CDS archive, JEP 350). Measured with JDK 17: a broker then starts with 1.8 instead of 3.0 s of CPU. A JVM to which
 * the archive does not fit starts without it, and so does everything when it could not be made.
 */
export async function makeClassArchive(jarsFolder: string, signal: AbortSignal): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-archive-'));
  const archive = classArchive(jarsFolder);
  const draft = `${archive}.new`;
  let broker: ChildProcess | undefined;
  try {
    const ports = openPorts({}, []);
    const node = { id: 1, port: await ports.take('broker'), controllerPort: await ports.take('controller') };
    const clusterId = newClusterId(randomBytes);
    const cluster: KafkaCluster = { clusterId, folder, jarsFolder, nodes: [node], partitions: 1, tls: undefined };
    await prepareKafka(cluster);
    const { command, args } = kafkaSpec(cluster, node, process.env);
    broker = spawn(command, [`-XX:ArchiveClassesAtExit=${draft}`, ...args], { stdio: 'ignore', signal });
    const ended = once(broker, 'exit', { signal: AbortSignal.timeout(upWithinMs + downWithinMs) });
    await Promise.race([isUp(node.port, signal), ended]);
    broker.kill('SIGTERM');
    await ended;
    await tryOut(jarsFolder, draft);
    await rename(draft, archive);
  } catch {
    signal.throwIfAborted(); // anything else: brokers start without it
  } finally {
    broker?.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
    await rm(draft, { force: true });
  }
}

/** A JVM dies of an archive that is cut short, so it is used once before it counts. `-Xshare:on`: or else fail. */
async function tryOut(jarsFolder: string, archive: string): Promise<void> {
  const args = [...javaArguments(jarsFolder, archive), '-Xshare:on'];
  await promisify(execFile)(javaCommand(), [...args, 'kafka.tools.StorageTool', 'random-uuid']);
}

async function isUp(port: number, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + upWithinMs;
  while (Date.now() < deadline) {
    if ((await registeredBrokers(port, undefined, 1_000).catch(() => 0)) > 0) return;
    await sleep(100, undefined, { signal });
  }
  throw new Error('the broker did not start');
}
