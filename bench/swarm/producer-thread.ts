/** A thread that writes numbered records of all users in turn, at a rate, and notes what Kafka has acknowledged. */
import { parentPort, workerData } from 'node:worker_threads';
import { connectKafka, openLanes, partitionOf } from '../../lib/kafka/index.ts';
import { quietOps } from '../../test/support/quiet-ops.ts';
import { kafkaConfig } from '../../test/support/scratch-kafka.ts';

export interface ProducerThreadData {
  brokers: readonly string[];
  topic: string;
  partitions: number;
  users: readonly string[];
  /** Of all users together. */
  recordsPerSecond: number;
  /** Bytes of padding in each record. */
  paddingBytes: number;
  /** Int32, one a user. */
  acknowledged: SharedArrayBuffer;
}

/** `start`, again: at another rate. `stop` is answered with `stopped` when everything is acknowledged. */
export type ToProducer = { kind: 'start'; recordsPerSecond: number | undefined } | { kind: 'stop' };
export type FromProducer = { kind: 'stopped'; records: number };

const { brokers, topic, partitions, users, paddingBytes, ...data } = workerData as ProducerThreadData;
const acknowledged = new Int32Array(data.acknowledged);
const handedOver = new Int32Array(users.length);
const places = users.map(user => ({ topic, partition: partitionOf(user, partitions) }));
const padding = paddingBytes === 0 ? undefined : 'x'.repeat(paddingBytes);
const connection = connectKafka(kafkaConfig(brokers), quietOps('swarm'));
const lanes = openLanes(connection, { bufferBytes: 67_108_864 });
const pending = new Set<Promise<void>>();
let timer: NodeJS.Timeout | undefined;
let records = 0;

parentPort?.on('message', (message: ToProducer) => {
  if (message.kind === 'start') start(message.recordsPerSecond ?? data.recordsPerSecond);
  else void stop();
});

function start(recordsPerSecond: number): void {
  clearInterval(timer);
  const beganMs = performance.now();
  const before = records;
  timer = setInterval(() => {
    const due = before + ((performance.now() - beganMs) * recordsPerSecond) / 1_000;
    while (records < due) produce(records++ % users.length);
  }, 5);
}

function produce(index: number): void {
  const at = places[index];
  if (at === undefined) return;
  const n = (handedOver[index] = (handedOver[index] ?? 0) + 1);
  const sent = lanes
    .send(at, { key: users[index] ?? '', value: JSON.stringify({ n, atMs: Date.now(), padding }) })
    .then(() => {
      acknowledged[index] = n;
      pending.delete(sent);
    });
  pending.add(sent);
}

async function stop(): Promise<void> {
  clearInterval(timer);
  await Promise.all(pending);
  await lanes.close();
  await connection.close();
  parentPort?.postMessage({ kind: 'stopped', records } satisfies FromProducer);
  parentPort?.close();
}
