import { readFileSync } from 'node:fs';
import kafkajs from 'kafkajs';

/**
 * The truth, independently of our own reader: every record of every partition of a topic, by kafkajs's own consumer
 * in a group of its own. Returned partition by partition, in offset order.
 */
export interface DumpedRecord {
  partition: number;
  offset: number;
  timestampMs: number;
  key: string | null;
  value: Record<string, unknown> | null;
  headers: Record<string, string>;
}

export function testKafka(brokers: readonly string[], caFile?: string): kafkajs.Kafka {
  return new kafkajs.Kafka({
    clientId: 'test',
    brokers: [...brokers],
    logLevel: kafkajs.logLevel.NOTHING,
    ...(caFile === undefined ? {} : { ssl: { ca: [readFileSync(caFile, 'utf8')] } }),
  });
}

export async function dumpTopic(kafka: kafkajs.Kafka, topic: string, timeoutMs = 60_000): Promise<DumpedRecord[]> {
  const ends = await endsOf(kafka, topic, timeoutMs);
  const missing = new Map(
    ends.filter(({ low, high }) => Number(high) > Number(low)).map(end => [end.partition, Number(end.high)]),
  );
  const records: DumpedRecord[] = [];
  const groupId = `dump-${topic}-${process.pid}-${Date.now()}`;
  if (missing.size > 0) {
    const consumer = kafka.consumer({ groupId, retry: { retries: 20 } });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    const deadline = Date.now() + timeoutMs;
    let timer: NodeJS.Timeout | undefined;
    const all = new Promise<void>((resolve, reject) => {
      timer = setInterval(() => {
        if (Date.now() > deadline) {
          reject(new Error(`dump of ${topic}: partitions ${[...missing.keys()].join()} did not arrive`));
        }
      }, 200);
      consumer
        .run({
          autoCommit: false,
          eachBatch: async ({ batch }) => {
            for (const message of batch.messages) {
              records.push({
                partition: batch.partition,
                offset: Number(message.offset),
                timestampMs: Number(message.timestamp),
                key: message.key?.toString() ?? null,
                value: jsonObject(message.value),
                headers: Object.fromEntries(
                  Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]),
                ),
              });
            }
            if (Number(batch.lastOffset()) + 1 >= (missing.get(batch.partition) ?? 0)) missing.delete(batch.partition);
            if (missing.size === 0) resolve();
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
  // A rejoin of the dumping group starts again at the beginning: keep one record an offset.
  const unique = new Map(records.map(record => [`${record.partition}/${record.offset}`, record]));
  return [...unique.values()].sort((a, b) => a.partition - b.partition || a.offset - b.offset);
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
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
