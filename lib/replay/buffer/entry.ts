import type { Headers, KafkaRecord, TopicPartition } from '../../kafka/types.ts';
import { ByteReader, ByteWriter } from '../bytes.ts';
import { type LogRecord, logRecord } from '../log-record.ts';

const version = 1;
const timestampTypes = [undefined, 'CreateTime', 'LogAppendTime'] as const;

/**
 * A record as the buffer keeps it; topic, partition, offset and key are told by where it lies:
 * ```
 * version(1) timestampType(1) timestamp+1 value-length+1|0 value
 * headers { name(text) values+1|0 (0: one value) { length bytes } } [leader-epoch]
 * ```
 * all numbers as varints. An entry ends before an epoch that is not known; a gateway that does not know of them takes no notice.
 * @param writer to be used again by many calls.
 */
export function packRecord(
  { value, headers, timestampMs, timestampType, leaderEpoch = -1 }: KafkaRecord,
  writer: ByteWriter = new ByteWriter(),
): Buffer {
  writer.reset();
  writer.byte(version);
  writer.byte(timestampTypes.indexOf(timestampType));
  writer.varint(Math.max(0, timestampMs + 1));
  writer.varint(value === null ? 0 : value.length + 1);
  if (value !== null) writer.bytes(value);
  const present = Object.entries(headers).filter(([, header]) => header !== undefined);
  writer.varint(present.length);
  for (const [name, header = []] of present) {
    writer.text(name);
    const isList = Array.isArray(header);
    writer.varint(isList ? header.length + 1 : 0);
    for (const item of isList ? header : [header]) {
      const bytes = typeof item === 'string' ? Buffer.from(item) : item;
      writer.varint(bytes.length);
      writer.bytes(bytes);
    }
  }
  if (leaderEpoch >= 0) writer.varint(leaderEpoch);
  return Buffer.from(writer.written());
}

/** @throws RangeError for what `packRecord` did not make. */
export function unpackRecord(at: TopicPartition, offset: number, key: string, packed: Buffer): LogRecord {
  const reader = new ByteReader(packed);
  if (reader.byte() !== version) throw new RangeError('a record of an unknown version');
  const timestampType = timestampTypes[reader.byte()];
  const timestampMs = reader.varint() - 1;
  const valueLength = reader.varint();
  const value = valueLength === 0 ? null : reader.bytes(valueLength - 1);
  const headers: Record<string, Headers[string]> = {};
  for (let count = reader.varint(); count > 0; count -= 1) {
    const name = reader.text();
    const values = reader.varint();
    const one = () => reader.bytes(reader.varint());
    headers[name] = values === 0 ? one() : Array.from({ length: values - 1 }, one);
  }
  const type = timestampType === undefined ? {} : { timestampType };
  const known = reader.remaining === 0 ? {} : { leaderEpoch: reader.varint() };
  return logRecord({ ...at, offset, timestampMs, ...type, ...known, key: Buffer.from(key), value, headers });
}
