import { messageOf } from '../../lib/errors.ts';
import type { Lanes, OutgoingRecord, Topics } from '../../lib/kafka/index.ts';
import type { Logger } from '../../lib/ops/index.ts';
import type { DeadIntake } from './types.ts';

export interface DeadLetterOptions {
  topics: Pick<Topics, 'partitionCount' | 'ensure'>;
  lanes: Pick<Lanes, 'send'>;
  log: Logger;
  group: string;
  /** Replication factor of dead-letter topics that are missing; undefined: they are not created. */
  create: { replicationFactor: number } | undefined;
  onSent(topic: string): void;
}

/**
 * Takes records that nobody can be answered for to `<topic>-dlt`. Resolves also when that was impossible: the record
 * stays where it is in the log, and the log line names its place; it never stops its partition.
 */
export type DeadLetters = (intake: DeadIntake) => Promise<void>;

export function openDeadLetters({ topics, lanes, log, group, create, onSent }: DeadLetterOptions): DeadLetters {
  const counts = new Map<string, number>();

  return async intake => {
    const { at } = intake;
    const topic = `${at.topic}-dlt`;
    const place = { topic: at.topic, partition: at.partition, offset: at.offset, reason: intake.message };
    try {
      const partition = at.partition % (await countOf(topic, at.topic));
      await lanes.send({ topic, partition }, deadLetter(intake, group));
      onSent(at.topic);
      log.warn(place, 'a record went to the dead-letter topic');
    } catch (error) {
      counts.delete(topic);
      log.error(
        { ...place, error: messageOf(error) },
        'a record could not be written to the dead-letter topic: it is skipped',
      );
    }
  };

  async function countOf(topic: string, original: string): Promise<number> {
    const known = counts.get(topic) ?? (await topics.partitionCount(topic));
    if (known !== undefined) {
      counts.set(topic, known);
      return known;
    }
    if (create === undefined) throw new Error(`topic ${topic} does not exist`);
    const partitions = (await topics.partitionCount(original)) ?? 1;
    await topics.ensure([{ name: topic, partitions, replicationFactor: create.replicationFactor }]);
    counts.set(topic, partitions);
    return partitions;
  }
}

/** Key, value and headers as they came, and Spring's headers; numbers are big-endian, 4 or 8 bytes. */
export function deadLetter({ at, timestampMs, exception, message, record }: DeadIntake, group: string): OutgoingRecord {
  return {
    key: record.key,
    value: record.value,
    headers: {
      ...record.headers,
      'kafka_dlt-original-topic': at.topic,
      'kafka_dlt-original-partition': int(at.partition),
      'kafka_dlt-original-offset': long(at.offset),
      'kafka_dlt-original-timestamp': long(timestampMs),
      'kafka_dlt-original-timestamp-type': 'CreateTime',
      'kafka_dlt-original-consumer-group': group,
      'kafka_dlt-exception-fqcn': `penstock.commands.${exception}`,
      'kafka_dlt-exception-message': message,
    },
  };
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function long(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}
