import { randomUUID } from 'node:crypto';
import kafkajs from 'kafkajs';
import type { TopicPartition } from '../../lib/kafka/index.ts';

export interface OpenTransaction {
  /** Appends records, one for each value; resolves with the offset of the first when the broker has them. */
  send(at: TopicPartition, values: readonly string[], more?: RecordFrame): Promise<number>;
  commit(): Promise<void>;
  abort(): Promise<void>;
}

/** What records have besides their values. */
export interface RecordFrame {
  /** Default `k`. */
  key?: string;
  headers?: Readonly<Record<string, string>>;
}

/** Somebody else's transactional producer: kafkajs's own, one transaction at a time. */
export interface TransactionalProducer {
  begin(): Promise<OpenTransaction>;
  close(): Promise<void>;
}

/** @param timeoutMs after which the broker aborts a transaction that is left open. */
export async function openTransactionalProducer(
  brokers: readonly string[],
  timeoutMs = 60_000,
): Promise<TransactionalProducer> {
  const kafka = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING });
  const producer = kafka.producer({
    transactionalId: randomUUID(),
    idempotent: true,
    maxInFlightRequests: 1,
    transactionTimeout: timeoutMs,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    retry: { initialRetryTime: 20, retries: 15 },
  });
  await producer.connect();
  return {
    async begin() {
      const transaction = await producer.transaction();
      return {
        async send({ topic, partition }, values, { key = 'k', headers = {} } = {}) {
          const messages = values.map(value => ({ partition, key, value, headers: { ...headers } }));
          const [answer] = await transaction.send({ topic, acks: -1, messages });
          return Number(answer?.baseOffset);
        },
        commit: () => transaction.commit(),
        abort: () => transaction.abort(),
      };
    },
    close: () => producer.disconnect(),
  };
}
