import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import kafkajs from 'kafkajs';

/** A record of the truth, read independently of our own reader: by kafkajs's own consumer, in a group of its own. */
export interface DumpedRecord {
  partition: number;
  offset: number;
  timestampMs: number;
  key: string | null;
  value: Record<string, unknown> | null;
  headers: Record<string, string>;
}

/** @param requestTimeoutMs shorter where some of the brokers stand still. */
export function testKafka(brokers: readonly string[], caFile?: string, requestTimeoutMs = 30_000): kafkajs.Kafka {
  return new kafkajs.Kafka({
    clientId: 'test',
    brokers: [...brokers],
    logLevel: kafkajs.logLevel.NOTHING,
    requestTimeout: requestTimeoutMs,
    ...(caFile === undefined ? {} : { ssl: { ca: [readFileSync(caFile, 'utf8')] } }),
  });
}

/** Every committed record of every partition, partition by partition, in offset order. For topics that fit into memory; see {@link visitTopic} for others. */
export async function dumpTopic(kafka: kafkajs.Kafka, topic: string, timeoutMs?: number): Promise<DumpedRecord[]> {
  const records: DumpedRecord[] = [];
  await visitTopic(kafka, topic, record => records.push(record), timeoutMs);
  return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
}

/**
 * Shows every committed record once, each partition's in offset order, up to the ends that the partitions had when it began;
 * a transaction that was open then must end. kafkajs may take records of aborted transactions that overlap for committed.
 */
export async function visitTopic(
  kafka: kafkajs.Kafka,
  topic: string,
  visit: (record: DumpedRecord) => void,
  timeoutMs = 60_000,
): Promise<void> {
  const ends = await endsOf(kafka, topic, timeoutMs);
  const missing = new Map(
    ends.filter(({ low, high }) => Number(high) > Number(low)).map(end => [end.partition, Number(end.high)]),
  );
  if (missing.size === 0) return;
  // A rejoin of the dumping group starts again at the beginning: each offset is shown once.
  const shown = new Map<number, number>();
  const consumer = kafka.consumer({ groupId: `dump-${topic}-${randomUUID()}`, retry: { retries: 20 } });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const passed = (partition: number, lastOffset: string) => {
    if (Number(lastOffset) + 1 >= (missing.get(partition) ?? 0)) missing.delete(partition);
  };
  // Told of batches without records, too: of those that end a transaction, or of an aborted one.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => passed(payload.partition, payload.lastOffset));
  const deadline = Date.now() + timeoutMs;
  let timer: NodeJS.Timeout | undefined;
  const all = new Promise<void>((resolve, reject) => {
    timer = setInterval(() => {
      if (missing.size === 0) resolve();
      else if (Date.now() > deadline) {
        reject(new Error(`dump of ${topic}: partitions ${[...missing.keys()].join()} did not arrive`));
      }
    }, 50);
    consumer
      .run({
        autoCommit: false,
        eachBatch: async ({ batch }) => {
          const { partition, messages } = batch;
          for (const message of messages) {
            const offset = Number(message.offset);
            if (offset <= (shown.get(partition) ?? -1)) continue;
            shown.set(partition, offset);
            visit({
              partition,
              offset,
              timestampMs: Number(message.timestamp),
              key: message.key?.toString() ?? null,
              value: jsonObject(message.value),
              headers: Object.fromEntries(
                Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]),
              ),
            });
          }
        },
      })
      .catch(reject);
  });
  try {
    await all;
  } finally {
    clearInterval(timer);
    await consumer.disconnect();
  }
}

/** A topic that was created just now has no leaders yet; one that does not exist has no partitions. */
async function endsOf(kafka: kafkajs.Kafka, topic: string, timeoutMs: number) {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      try {
        return (await admin.listTopics()).includes(topic) ? await admin.fetchTopicOffsets(topic) : [];
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await new Promise(resolve => setTimeout(resolve, 100));
      }
    }
  } finally {
    await admin.disconnect();
  }
}

function jsonObject(value: Buffer | null): Record<string, unknown> | null {
  if (value === null) return null;
  try {
    const parsed: unknown = JSON.parse(value.toString());
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
