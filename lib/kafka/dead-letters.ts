import { messageOf } from '../errors.ts';
import { BrokerError, PartitionCountError, ProduceError, TooLargeError, TopicRefusedError } from './errors.ts';
import type { Headers, KafkaRecord, Lanes, OutgoingRecord, Topics } from './types.ts';
import { codes } from './wire/error-codes.ts';

/** A record that a consumer can do nothing with, and why. */
export interface DeadLetter {
  record: KafkaRecord;
  /** The class of problem, as a qualified name. */
  exception: string;
  reason: string;
}

/** Takes records to `<topic>-dlt`, in the form of Spring's DeadLetterPublishingRecoverer. */
export interface DeadLetters {
  /**
   * Creates the dead-letter topics of these topics where they are missing; one that exists may have any partition count.
   * @throws DeadLetterTopicError where Kafka does not allow it, with the command that makes the topic.
   */
  prepare(originals: readonly string[]): Promise<void>;
  /** Resolves once the record is written. @throws Error saying why it can't be; sending it again may help. */
  send(letter: DeadLetter): Promise<void>;
}

/** A dead-letter topic is missing, and we may not create it. */
export class DeadLetterTopicError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'DeadLetterTopicError';
  }
}

export interface DeadLetterOptions {
  topics: Pick<Topics, 'partitionCount' | 'ensure'>;
  lanes: Pick<Lanes, 'send'>;
  /** Consumer group that the header names. */
  group: string;
  /** Creates a missing topic, with the partition count of the original; undefined: somebody else has to. */
  create: { replicationFactor: number } | undefined;
  /** host:port of some, for the command that creates a topic. */
  brokers: readonly string[];
  /** Called for each record written, with its own topic. */
  onSent(topic: string): void;
}

export function openDeadLetters(options: DeadLetterOptions): DeadLetters {
  const { topics, lanes, group, create, brokers, onSent } = options;
  /** Partition counts of the topics known to be there, or being asked for. */
  const counts = new Map<string, Promise<number>>();

  return {
    async prepare(originals) {
      for (const original of originals) await countOf(original);
    },
    async send(letter) {
      const { record } = letter;
      const topic = topicOf(record.topic);
      try {
        const partition = record.partition % (await countOf(record.topic));
        const outgoing = outgoingOf(letter, group);
        await lanes.send({ topic, partition }, outgoing).catch((error: unknown) => {
          // The headers were the last straw; such a record must not hold up those behind it for ever.
          if (!(error instanceof TooLargeError)) throw error;
          return lanes.send({ topic, partition }, shortened(outgoing));
        });
      } catch (error) {
        counts.delete(topic);
        throw new Error(`${topic} can't be written: ${explained(error)}`, { cause: error });
      }
      onSent(record.topic);
    },
  };

  /** Many letters ask at once: one question for all of them. */
  function countOf(original: string): Promise<number> {
    const topic = topicOf(original);
    const known = counts.get(topic);
    if (known !== undefined) return known;
    const asked = findOrCreate(topic, original);
    counts.set(topic, asked);
    asked.catch(() => counts.delete(topic));
    return asked;
  }

  async function findOrCreate(topic: string, original: string): Promise<number> {
    const count = await topics.partitionCount(topic).catch((error: unknown) => {
      // Kafka does not say whether a topic that we may not describe exists.
      if (!(error instanceof BrokerError) || error.code !== codes.TOPIC_AUTHORIZATION_FAILED) throw error;
      throw refused(
        topic,
        undefined,
        `can't be seen (${error.type}): it needs the rights Describe and Write, or it is to be made`,
        error,
      );
    });
    if (count !== undefined) return count;
    const partitions = (await topics.partitionCount(original)) ?? 1;
    if (create === undefined) throw refused(topic, partitions, 'does not exist');
    try {
      await topics.ensure([{ name: topic, partitions, replicationFactor: create.replicationFactor }]);
      return partitions;
    } catch (error) {
      if (error instanceof TopicRefusedError) {
        throw refused(topic, partitions, `does not exist and can't be created (${error.type})`, error);
      }
      // Somebody else was faster, and made it otherwise.
      const other = error instanceof PartitionCountError ? await topics.partitionCount(topic) : undefined;
      if (other === undefined) throw error;
      return other;
    }
  }

  function refused(topic: string, partitions: number | undefined, why: string, cause?: unknown): DeadLetterTopicError {
    const replicas = create?.replicationFactor ?? '<replicas>';
    const command = `kafka-topics.sh --bootstrap-server ${brokers.join(',')} --create --topic ${topic}`;
    const counts = `--partitions ${partitions ?? '<partitions>'} --replication-factor ${replicas}`;
    return new DeadLetterTopicError(`topic ${topic} ${why}: ${command} ${counts}`, cause);
  }
}

function topicOf(original: string): string {
  return `${original}-dlt`;
}

/** With the broker's reason, where the lane knows it. */
function explained(error: unknown): string {
  const cause = error instanceof ProduceError ? error.cause : undefined;
  return cause === undefined ? messageOf(error) : `${messageOf(error)}: ${messageOf(cause)}`;
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
