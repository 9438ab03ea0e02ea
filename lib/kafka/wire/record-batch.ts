/**
 * Record batches of magic 2, the only format that Kafka 4 writes. A log that is old may hold messages of magic 0 and 1.
 * Source: kafka.apache.org/documentation/#recordbatch; KIP-98.
 */
import { messageOf } from '../../errors.ts';
import { UnreadableBatchError, type UnreadableRange } from '../errors.ts';
import type { KafkaRecord, OutgoingRecord, TopicPartition } from '../types.ts';
import { ByteReader, ByteWriter, varintSize } from './bytes.ts';
import { decompress } from './compression.ts';
import { crc32c } from './crc32c.ts';
import type { AbortedTransaction } from './requests.ts';

/** baseOffset and length, which the length does not count. */
const prefixBytes = 12;
/** Up to and including the magic byte, which all formats have in the same place. */
const magicBytes = 17;
/** From baseOffset up to and including the record count. */
const headerBytes = 61;
const lastOffsetDeltaAt = 23;
const compressionMask = 0x07;
const logAppendTimeFlag = 0x08;
const transactionalFlag = 0x10;
const controlFlag = 0x20;
/** Type of the control record that ends an aborted transaction; a commit has 1. */
const abortMarker = 0;

/** The records of a fetched record set, and the offset behind its last complete batch. */
export interface DecodedRecords {
  records: KafkaRecord[];
  nextOffset: number;
  /** Leader epoch of the last batch that was passed; undefined where none was. */
  lastEpoch: number | undefined;
}

/**
 * Follows which producers are inside an aborted transaction, batch by batch in the order of the log. A producer is from the
 * first offset of such a transaction up to its abort marker (the algorithm of the Java client's CompletedFetch; KIP-98).
 */
class AbortedProducers {
  readonly #waiting: AbortedTransaction[];
  readonly #inside = new Set<bigint>();
  #next = 0;

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#waiting = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  }

  /** Returns whether a transactional batch that ends at `lastOffset` belongs to an aborted transaction. */
  has(producerId: bigint, lastOffset: number): boolean {
    for (let first = this.#waiting[this.#next]; first !== undefined && first.firstOffset <= lastOffset; ) {
      this.#inside.add(first.producerId);
      first = this.#waiting[++this.#next];
    }
    return this.#inside.has(producerId);
  }

  ended(producerId: bigint): void {
    this.#inside.delete(producerId);
  }
}

/**
 * Decodes what a fetch from `fetchOffset` returned: drops records before that offset (the broker sends whole batches),
 * records of the transactions in `aborted`, control records, and the cut-off tail. Keys and values are views of a copy of
 * their batch, so that a record that is kept does not keep the whole response. With nothing decodable `nextOffset` is
 * `fetchOffset`.
 * @throws UnreadableBatchError when the first batch cannot be decoded; a later one ends the result before it.
 */
export function decodeRecords(
  at: TopicPartition,
  fetchOffset: number,
  bytes: Buffer,
  aborted: readonly AbortedTransaction[] = [],
): DecodedRecords {
  const result: DecodedRecords = { records: [], nextOffset: fetchOffset, lastEpoch: undefined };
  const producers = new AbortedProducers(aborted);
  for (let position = 0; ; ) {
    const batch = completeAt(bytes, position);
    if (batch === undefined) return result;
    const whole = result.records.length;
    try {
      if (isOld(batch)) {
        const to = behindOldRun(bytes, position);
        const range = { from: fetchOffset, to, isOldFormat: true };
        if (to > fetchOffset) throw new UnreadableBatchError(at, range, `message format ${batch[magicBytes - 1]}`);
      } else decodeBatch(at, fetchOffset, batch, producers, result);
    } catch (error) {
      // None of the batch is handed out, for all of it is read again.
      result.records.length = whole;
      if (result.nextOffset > fetchOffset) return result;
      if (error instanceof UnreadableBatchError) throw error;
      throw new UnreadableBatchError(at, rangeOf(batch, fetchOffset), messageOf(error), error);
    }
    // One that says it is shorter than that was refused.
    position += Math.max(magicBytes, batch.length);
  }
}

/** The batch or message at this place, where it is all there; one that says that it is shorter than it can be, too. */
function completeAt(bytes: Buffer, position: number): Buffer | undefined {
  if (bytes.length - position < magicBytes) return undefined;
  const size = prefixBytes + bytes.readInt32BE(position + 8);
  return size > bytes.length - position ? undefined : bytes.subarray(position, position + Math.max(magicBytes, size));
}

function isOld(batch: Buffer): boolean {
  return batch.readInt8(magicBytes - 1) < 2;
}

/** Offset behind the last of the messages of magic 0 or 1 that stand here one behind the other: one by one they would never end. */
function behindOldRun(bytes: Buffer, start: number): number {
  let behind = 0;
  for (let position = start; ; ) {
    const message = completeAt(bytes, position);
    if (message === undefined || !isOld(message)) return behind;
    // That of a compressed one is its last record's.
    behind = Number(message.readBigInt64BE(0)) + 1;
    position += message.length;
  }
}

/** What a batch covers by its header, as far as that can be believed: it ends behind the offset that was asked for. */
function rangeOf(batch: Buffer, fetchOffset: number): UnreadableRange {
  if (batch.length < headerBytes) return { from: fetchOffset, to: fetchOffset + 1 };
  const from = Number(batch.readBigInt64BE(0));
  const to = Math.max(from, fetchOffset, from + batch.readInt32BE(lastOffsetDeltaAt)) + 1;
  return { from, to, leaderEpoch: batch.readInt32BE(prefixBytes) };
}

function decodeBatch(
  at: TopicPartition,
  fetchOffset: number,
  bytes: Buffer,
  producers: AbortedProducers,
  result: DecodedRecords,
): void {
  if (bytes.length < headerBytes) throw new RangeError('a batch is shorter than its header');
  const header = new ByteReader(bytes);
  const baseOffset = header.int64();
  header.position += 4; // batch length
  const leaderEpoch = header.int32();
  const magic = header.int8();
  if (magic !== 2) throw new RangeError(`message format ${magic}`);
  header.position += 4; // the broker has checked the CRC, TCP the way here
  const attributes = header.int16();
  const nextOffset = baseOffset + header.int32() + 1;
  const baseTimestamp = header.int64();
  const maxTimestamp = header.int64();
  const isAborted =
    (attributes & transactionalFlag) !== 0 &&
    leavesOut(producers, header.bigInt64(), nextOffset - 1, (attributes & controlFlag) !== 0 ? bytes : undefined);
  header.position = headerBytes - 4;
  const count = header.int32();
  if (nextOffset <= fetchOffset) return;
  if ((attributes & controlFlag) === 0 && !isAborted) {
    const body = bytes.subarray(headerBytes);
    const codec = attributes & compressionMask;
    const reader = new ByteReader(codec === 0 ? Buffer.from(body) : decompress(codec, body));
    // With LogAppendTime only the batch has the time: the deltas are still the producer's.
    const appendTimestamp = (attributes & logAppendTimeFlag) === 0 ? undefined : maxTimestamp;
    for (let i = 0; i < count; i++) {
      const record = decodeRecord(at, reader, { baseOffset, baseTimestamp, appendTimestamp, leaderEpoch });
      if (record.offset >= fetchOffset) result.records.push(record);
    }
  }
  result.nextOffset = nextOffset;
  result.lastEpoch = leaderEpoch;
}

/** Returns whether the batch's records are left out. `control`: the batch, where it is a marker that ends a transaction. */
function leavesOut(producers: AbortedProducers, producerId: bigint, lastOffset: number, control?: Buffer): boolean {
  const isInside = producers.has(producerId, lastOffset);
  if (control !== undefined && isAbort(control)) producers.ended(producerId);
  return isInside;
}

/**
 * Returns whether a control batch is an abort marker. Its record's key is a version and a type, two bytes each. The log cleaner
 * may leave the header alone, without the record; it does so when nothing of the transaction is left. No shape of it is an error.
 */
function isAbort(batch: Buffer): boolean {
  const reader = new ByteReader(batch, headerBytes - 4);
  if (reader.int32() < 1) return false;
  try {
    reader.varint(); // length
    reader.position += 1; // attributes
    reader.varlong(); // timestamp
    reader.varint(); // offset
    const key = reader.varBytes();
    return key !== null && key.length >= 4 && key.readInt16BE(2) === abortMarker;
  } catch {
    return false;
  }
}

/** What the records of a batch have in common. */
interface BatchHead {
  baseOffset: number;
  baseTimestamp: number;
  appendTimestamp: number | undefined;
  leaderEpoch: number;
}

function decodeRecord(at: TopicPartition, reader: ByteReader, batch: BatchHead): KafkaRecord {
  const { baseOffset, baseTimestamp, appendTimestamp, leaderEpoch } = batch;
  const length = reader.varint();
  const end = reader.position + length;
  reader.position += 1; // attributes, unused
  const timestampMs = timestampOf(baseTimestamp, reader.varlong());
  const offset = baseOffset + reader.varint();
  const key = reader.varBytes();
  const value = reader.varBytes();
  const headers = decodeHeaders(reader);
  if (reader.position !== end) throw new RangeError('a record is longer or shorter than it says');
  return {
    topic: at.topic,
    partition: at.partition,
    offset,
    timestampMs: appendTimestamp === undefined ? timestampMs : timestampOf(appendTimestamp, 0),
    timestampType: appendTimestamp === undefined ? 'CreateTime' : 'LogAppendTime',
    leaderEpoch,
    key,
    value,
    headers,
  };
}

/** The largest that a cursor and the replay buffer can hold: they write timestamps plus one. */
const maxTimestampMs = Number.MAX_SAFE_INTEGER - 1;

/**
 * Returns a producer's timestamp, or -1 ("none", as in Kafka's protocol) for one that is negative or too large, such as
 * nanoseconds: a number that is not exact could not be compared with the one in a cursor.
 */
function timestampOf(base: number, delta: number): number {
  const timestampMs = base + delta;
  const isExact = Number.isSafeInteger(base) && Number.isSafeInteger(delta);
  return isExact && timestampMs >= 0 && timestampMs <= maxTimestampMs ? timestampMs : -1;
}

type DecodedHeaders = Record<string, Buffer | (Buffer | string)[] | undefined>;

function decodeHeaders(reader: ByteReader): DecodedHeaders {
  const headers: DecodedHeaders = {};
  const count = reader.varint();
  for (let i = 0; i < count; i++) {
    const name = reader.varBytes()?.toString('utf8') ?? '';
    const value = reader.varBytes() ?? undefined;
    if (name === '__proto__') continue; // a plain assignment would change the object instead
    const before = Object.hasOwn(headers, name) ? headers[name] : undefined;
    if (before === undefined || value === undefined) headers[name] = value ?? before;
    else headers[name] = Array.isArray(before) ? [...before, value] : [before, value];
  }
  return headers;
}

/** A record as it waits in a lane: `sizeBytes` is what it takes in a batch, at most. */
export interface SizedRecord {
  record: OutgoingRecord;
  timestampMs: number;
  sizeBytes: number;
}

/** Size of an empty batch; a batch is this plus the sizes of its records. */
export const batchOverheadBytes = headerBytes;

/** Upper bound of what the record takes in a batch (deltas counted at their longest). */
export function sizeOf(record: OutgoingRecord): number {
  let size = 1 + 10 + 5 + sizeOfBytes(record.key) + sizeOfBytes(record.value);
  let count = 0;
  for (const name in record.headers) {
    size += sizeOfBytes(name) + sizeOfBytes(record.headers[name] ?? null);
    count++;
  }
  return size + varintSize(count) + 5;
}

function sizeOfBytes(value: string | Buffer | null): number {
  if (value === null) return 1;
  const size = typeof value === 'string' ? Buffer.byteLength(value) : value.length;
  return varintSize(size) + size;
}

/** What makes a repeated batch recognisable to the broker (KIP-98). */
export interface ProducerStamp {
  producerId: bigint;
  producerEpoch: number;
  baseSequence: number;
}

/** One uncompressed batch; the order of the records is kept. */
export function encodeBatch(records: readonly SizedRecord[], stamp: ProducerStamp): Buffer {
  const sizeHint = records.reduce((sum, { sizeBytes }) => sum + sizeBytes, batchOverheadBytes);
  const baseTimestamp = records[0]?.timestampMs ?? 0;
  const maxTimestamp = records.reduce((max, { timestampMs }) => Math.max(max, timestampMs), baseTimestamp);
  const writer = new ByteWriter(sizeHint);
  writer.int64(0).int32(0).int32(-1).int8(2).uint32(0);
  const checked = writer.length;
  writer
    .int16(0)
    .int32(records.length - 1)
    .int64(baseTimestamp)
    .int64(maxTimestamp)
    .bigInt64(stamp.producerId)
    .int16(stamp.producerEpoch)
    .int32(stamp.baseSequence)
    .int32(records.length);
  records.forEach(({ record, timestampMs }, index) => {
    encodeRecord(writer, record, timestampMs - baseTimestamp, index);
  });
  const bytes = writer.buffer;
  writer.patchUint32(8, bytes.length - prefixBytes);
  writer.patchUint32(17, crc32c(bytes, checked));
  return bytes;
}

function encodeRecord(writer: ByteWriter, record: OutgoingRecord, timestampDelta: number, offsetDelta: number): void {
  const headers = Object.entries(record.headers ?? {});
  let size = 1 + varintSize(timestampDelta) + varintSize(offsetDelta);
  size += sizeOfBytes(record.key) + sizeOfBytes(record.value) + varintSize(headers.length);
  for (const [name, value] of headers) size += sizeOfBytes(name) + sizeOfBytes(value);
  // Deltas within one batch fit 32 bits: records wait for seconds, not for 24 days.
  writer.varint(size).int8(0).varint(timestampDelta).varint(offsetDelta);
  writer.varBytes(record.key).varBytes(record.value).varint(headers.length);
  for (const [name, value] of headers) writer.varBytes(name).varBytes(value);
}
