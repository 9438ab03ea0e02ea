import { messageOf } from '../errors.ts';
import { TooLargeError } from './errors.ts';
import type { Headers, KafkaRecord, Lanes, OutgoingRecord, Topics } from './types.ts';

/** A record that a consumer can do nothing with, and why. */
export interface DeadLetter {
  record: KafkaRecord;
  /** The class of problem, as a qualified name. */
  exception: string;
  reason: string;
}

/** Takes records to `<topic>-dlt`, in the form of Spring's DeadLetterPublishingRecoverer. */
export interface DeadLetters {
  /** Resolves once the record is written. @throws Error saying why it can't be; sending it again may help. */
  send(letter: DeadLetter): Promise<void>;
}

export interface DeadLetterOptions {
  topics: Pick<Topics, 'partitionCount' | 'ensure'>;
  lanes: Pick<Lanes, 'send'>;
  /** Consumer group that the header names. */
  group: string;
  /** Creates a missing topic, with the partition count of the original; undefined: somebody else has to. */
  create: { replicationFactor: number } | undefined;
  /** Called for each record written, with its own topic. */
  onSent(topic: string): void;
}

export function openDeadLetters({ topics, lanes, group, create, onSent }: DeadLetterOptions): DeadLetters {
  /** Partition counts of the topics known to be there. */
  const counts = new Map<string, number>();

  return {
    async send(letter) {
      const { record } = letter;
      const topic = `${record.topic}-dlt`;
      try {
        const partition = record.partition % (await countOf(topic, record.topic));
        const outgoing = outgoingOf(letter, group);
        await lanes.send({ topic, partition }, outgoing).catch((error: unknown) => {
          // The headers were the last straw; such a record must not hold up those behind it for ever.
          if (!(error instanceof TooLargeError)) throw error;
          return lanes.send({ topic, partition }, shortened(outgoing));
        });
      } catch (error) {
        counts.delete(topic);
        throw new Error(`${topic} can't be written: ${messageOf(error)}`, { cause: error });
      }
      onSent(record.topic);
    },
  };

  async function countOf(topic: string, original: string): Promise<number> {
    const known = counts.get(topic) ?? (await topics.partitionCount(topic));
    if (known !== undefined) {
      counts.set(topic, known);
      return known;
    }
    if (create === undefined) {
      throw new Error(`topic ${topic} does not exist: create it, with the partitions of ${original}`);
    }
    const partitions = (await topics.partitionCount(original)) ?? 1;
    await topics.ensure([{ name: topic, partitions, replicationFactor: create.replicationFactor }]);
    counts.set(topic, partitions);
    return partitions;
  }
}

/** Key, value and headers as they were; numbers as Java's ByteBuffer writes them: big-endian, 4 or 8 bytes. */
function outgoingOf({ record, exception, reason }: DeadLetter, group: string): OutgoingRecord {
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
      'kafka_dlt-exception-fqcn': exception,
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
