import kafkajs from 'kafkajs';
import type { TopicPartition } from '../../lib/kafka/index.ts';
import { testKafka } from './dump.ts';
import { kafkaAddress } from './scratch-kafka.ts';

/** More than a batch may expand to at a reader; its zeros are some hundred kilobytes on their way, which every broker takes. */
const expandedBytes = 129 * 1024 * 1024;

/** Has a real producer write one batch that no reader of ours can take: it expands beyond the limit. */
export async function writeUnreadable({ topic, partition }: TopicPartition, key = 'k'): Promise<void> {
  const producer = testKafka([kafkaAddress()]).producer();
  await producer.connect();
  try {
    const messages = [{ partition, key, value: Buffer.alloc(expandedBytes) }];
    await producer.send({ topic, messages, compression: kafkajs.CompressionTypes.GZIP });
  } finally {
    await producer.disconnect();
  }
}
