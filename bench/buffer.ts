/**
 * What the replay buffer costs: `TEST_KAFKA=… TEST_REDIS=… node bench/buffer.ts` beside `node dev/infra.ts`.
 * First the append alone, as fast as it goes; then live delivery at a steady rate with and without it, in turns.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectKafka, openLanes, openReader, openTopics } from '../lib/kafka/index.ts';
import { closeRedis, connectRedis, type RedisClient } from '../lib/redis/index.ts';
import { openBufferStore } from '../lib/replay/buffer/store.ts';
import { openRecordStreams } from '../lib/replay/index.ts';
import { logRecord, pointOf } from '../lib/replay/log-record.ts';
import { quietOps } from '../test/support/quiet-ops.ts';
import { kafkaConfig } from '../test/support/scratch-kafka.ts';

const retention = { keyRecords: 1_000, ageMs: 900_000, partitionBytes: 16_777_216 };
const value = Buffer.from(
  JSON.stringify({ id: randomUUID(), iban: 'NL00PENS0000000000', newBalance: 1, descr: 'x'.repeat(150) }),
);
const ops = quietOps('bench');
const client = connectRedis({ url: process.env.TEST_REDIS ?? '', tlsCaFile: undefined }, ops, () => undefined);
while (client.status !== 'ready') await sleep(10);

await appendAlone(client, 24, 500, 200_000);
await appendAlone(client, 24, 5, 50_000);
for (let turn = 0; turn < 3; turn += 1) {
  for (const buffered of [false, true]) await liveAt(2_000, 8, buffered);
}
closeRedis(client);

/** One call under way a partition, the calls of all partitions together. */
async function appendAlone(redis: RedisClient, partitions: number, batch: number, records: number): Promise<void> {
  const store = openBufferStore(redis, `bench-${randomBytes(4).toString('hex')}`, retention);
  const fence = { generation: 1, counter: 1 };
  const usedBefore = await redisCpu(redis);
  const cpuBefore = process.cpuUsage();
  const beganMs = performance.now();
  await Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const at = { topic: 'bench', partition };
      await store.claim(at, fence, false);
      await store.open(at, fence, 'w', 0);
      for (let from = 0; from < records / partitions; from += batch) {
        const made = Array.from({ length: batch }, (_, index) =>
          logRecord({
            ...{ ...at, offset: from + index, timestampMs: 1_000_000 + from + index },
            ...{
              key: Buffer.from(`user-${(from + index) % 200}`),
              value,
              headers: { ce_keysequence: Buffer.from('12') },
            },
          }),
        );
        const last = made[made.length - 1];
        const mark = last === undefined ? undefined : pointOf(last);
        const newTail = from + batch - 1;
        const answer = await store.append(at, { fence, id: 'w', expectedTail: from - 1, newTail, records: made, mark });
        if (answer.answer !== 'OK') throw new Error(answer.answer);
      }
    }),
  );
  const seconds = (performance.now() - beganMs) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const redisSeconds = (await redisCpu(redis)) - usedBefore;
  console.log(
    JSON.stringify({
      ...{ what: 'append alone', batch, records, recordsPerSecond: Math.round(records / seconds) },
      gatewayMicrosPerRecord: round((user + system) / records),
      redisMicrosPerRecord: round((redisSeconds * 1e6) / records),
    }),
  );
}

/** From a record's timestamp to its delivery to a stream, at a gateway that owns all partitions. */
async function liveAt(perSecond: number, seconds: number, buffered: boolean): Promise<void> {
  const kafka = connectKafka(kafkaConfig((process.env.TEST_KAFKA ?? '').split(',')), ops);
  const topics = openTopics(kafka);
  const topic = `bench-${randomBytes(4).toString('hex')}`;
  const partitions = Array.from({ length: 24 }, (_, partition) => partition);
  await topics.ensure([{ name: topic, partitions: partitions.length, replicationFactor: 1 }]);
  const lanes = openLanes(kafka, { bufferBytes: 16_777_216 });
  const reader = openReader(kafka, { maxWaitMs: 100, partitionBytes: 262_144 });
  const own = quietOps('bench');
  const streams = openRecordStreams({
    ...{ reader, topics, ops: own },
    redis: buffered ? { client, name: topic } : undefined,
    config: {
      ...{
        scanMaxBytes: 1e9,
        concurrency: 16,
        maxWaiting: 1_000,
        openTimeoutMs: 5_000,
        stallTimeoutMs: 30_000,
        ringBytes: 67_108_864,
        ...retention,
      },
      ...{ appendIntervalMs: 50, appendsInFlight: 32, fillRecords: 20_000 },
    },
  });
  const claim = { generation: 1, counter: 1, verify: async () => 'member' as const };
  for (const partition of partitions) {
    await streams.hold(topic, partition);
    if (buffered) streams.keepBuffer(topic, partition, claim);
  }
  const latencies: number[] = [];
  const stream = await streams.open({
    topic,
    partitions,
    key: undefined,
    start: { kind: 'now' },
    bufferBytes: 67_108_864,
  });
  const taking = (async () => {
    for (;;) {
      const records = await stream.next();
      if (records === undefined) return;
      const nowMs = performance.timeOrigin + performance.now();
      for (const record of records) {
        latencies.push(nowMs - Number(record.record.headers.sent));
        stream.advance(record);
      }
    }
  })();
  const cpuBefore = process.cpuUsage();
  const beganMs = performance.now();
  for (let sent = 0; sent < perSecond * seconds; ) {
    const due = Math.min(perSecond * seconds, ((performance.now() - beganMs) / 1_000) * perSecond);
    for (; sent < due; sent += 1) {
      const headers = { sent: `${performance.timeOrigin + performance.now()}` };
      const at = { topic, partition: sent % partitions.length };
      lanes.send(at, { key: `user-${sent % 2_000}`, value, headers }).catch(error => console.error(error));
    }
    await sleep(2);
  }
  while (latencies.length < perSecond * seconds) await sleep(10);
  const { user, system } = process.cpuUsage(cpuBefore);
  latencies.splice(0, perSecond); // the first second warms up
  latencies.sort((a, b) => a - b);
  const at = (part: number) => round(latencies[Math.floor(latencies.length * part)] ?? Number.NaN);
  console.log(
    JSON.stringify({
      ...{ what: 'live', buffered, perSecond, p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999) },
      cpuMicrosPerRecord: round((user + system) / (perSecond * seconds)),
    }),
  );
  stream.close();
  await taking;
  await streams.close();
  await reader.close();
  await lanes.close();
  await topics.close();
  await kafka.close();
}

async function redisCpu(redis: RedisClient): Promise<number> {
  const info = await redis.info('cpu');
  const of = (name: string) => Number(new RegExp(`${name}:([0-9.]+)`).exec(info)?.[1] ?? 0);
  return of('used_cpu_user') + of('used_cpu_sys');
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
