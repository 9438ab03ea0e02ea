import { messageOf } from '../../lib/errors.ts';
import {
  type Headers,
  type KafkaRecord,
  type Lanes,
  type OutgoingRecord,
  TooLargeError,
  type Topics,
} from '../../lib/kafka/index.ts';

/** Takes records that feed no table to `<topic>-dlt`, in the form of Spring's DeadLetterPublishingRecoverer. */
export interface DeadLetters {
  /** Resolves once the record is written. @throws Error saying why it can't be; sending it again may help. */
  send(record: KafkaRecord, reason: string): Promise<void>;
}

export interface DeadLetterOptions {
  /** Consumer group that the header names. */
  group: string;
  /** Creates a missing topic, with the partition count of the original; else the record waits for somebody to do so. */
  create: { replicationFactor: number } | undefined;
  /** Called for each record written. */
  onSent(topic: string): void;
}

export function openDeadLetters(topics: Topics, lanes: Lanes, options: DeadLetterOptions): DeadLetters {
  const { group, create, onSent } = options;
  /** Partition counts of the topics known to be there. */
  const counts = new Map<string, number>();

  const countOf = async (topic: string, original: string): Promise<number> => {
    const known = counts.get(topic) ?? (await topics.partitionCount(topic));
    if (known !== undefined) {
      counts.set(topic, known);
      return known;
    }
    if (!create) throw new Error(`topic ${topic} does not exist: create it, with the partitions of ${original}`);
    const partitions = (await topics.partitionCount(original)) ?? 1;
    await topics.ensure([{ name: topic, partitions, replicationFactor: create.replicationFactor }]);
    counts.set(topic, partitions);
    return partitions;
  };

  return {
    async send(record, reason) {
      const topic = `${record.topic}-dlt`;
      try {
        const partition = record.partition % (await countOf(topic, record.topic));
        const letter = deadLetter(record, reason, group);
        await lanes.send({ topic, partition }, letter).catch((error: unknown) => {
          // The headers were the last straw; such a record must not hold up those behind it for ever.
          if (!(error instanceof TooLargeError)) throw error;
          return lanes.send({ topic, partition }, shortened(letter));
        });
      } catch (error) {
        counts.delete(topic);
        throw new Error(`${topic} can't be written: ${messageOf(error)}`, { cause: error });
      }
      onSent(record.topic);
    },
  };
}

const exceptionName = 'penstock.projector.MisfitException';

/** Key, value and headers as they were; numbers as Java's ByteBuffer writes them: big-endian, 4 or 8 bytes. */
export function deadLetter(record: KafkaRecord, reason: string, group: string): OutgoingRecord {
  return {
    key: record.key,
    value: record.value,
    headers: {
      ...kept(record.headers),
      'kafka_dlt-original-topic': record.topic,
      'kafka_dlt-original-partition': int(record.partition),
      'kafka_dlt-original-offset': long(record.offset),
      'kafka_dlt-original-timestamp': long(record.timestampMs),
      'kafka_dlt-original-timestamp-type': record.timestampType ?? 'CreateTime',
      'kafka_dlt-original-consumer-group': group,
      'kafka_dlt-exception-fqcn': exceptionName,
      'kafka_dlt-exception-message': reason,
    },
  };
}

/** Bytes of the value that a letter keeps which would be too large otherwise. */
const shortBytes = 65_536;

/** The beginning of the value, its length in a header of its own, and of the headers only those that say where it was. */
function shortened({ key, value, headers = {} }: OutgoingRecord): OutgoingRecord {
  const bytes = Buffer.from(value ?? '');
  const origin = Object.entries(headers).filter(([name]) => name.startsWith('kafka_dlt-'));
  return {
    key: key === null ? null : Buffer.from(key).subarray(0, shortBytes),
    value: bytes.subarray(0, shortBytes),
    headers: { ...Object.fromEntries(origin), 'penstock_dlt-value-bytes': int(bytes.length) },
  };
}

/** Of a repeated header the last one, as `lastHeader` gives it. */
function kept(headers: Headers): Record<string, string | Buffer> {
  const found: Record<string, string | Buffer> = {};
  for (const [name, value] of Object.entries(headers)) {
    const last = Array.isArray(value) ? value.at(-1) : value;
    if (last !== undefined && last !== null) found[name] = last;
  }
  return found;
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
