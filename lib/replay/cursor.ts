import { timingSafeEqual } from 'node:crypto';
import { PenstockError } from '../errors.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { fingerprintLength, openFingerprints } from './fingerprint.ts';
import { type Hmac, innerPadBytes, openHmac } from './hmac.ts';
import { ofTopic, topicMarkBytes } from './topic-mark.ts';
import type { CursorCodec, PartitionPosition, Position, StreamPosition } from './types.ts';

/**
 * Version 1 had no marks of topics; such cursors are still read. A version is written only once the previous release reads it: clients
 * bring cursors of new gateways to old ones in each upgrade. What an older gateway may do without goes into an extension.
 */
const version = 2;
const firstVersionWithMarks = 2;
/** An entry of this name, which no topic can have, is an extension: gateways take those that they don't know for topics of no concern. */
const extensionMark = '~';
const epochsExtension = `${extensionMark}e`;
/** HMAC-SHA-256 truncated to 128 bits (RFC 2104, section 5: at least half of the hash). */
const tagBytes = 16;
/** A view's cursor over 10 topics of 1,000 partitions has about 100 KB. */
const maxCursorLength = 1_048_576;
const noMark = Buffer.alloc(topicMarkBytes);
/** Its name, no mark, and no sequence. */
const epochsHeader = Buffer.from(`\u0002${epochsExtension}${'\0'.repeat(topicMarkBytes + 1)}`);
const kinds = ['stream', 'view'] as const;

/**
 * Cursors, signed. Wire format, all numbers as varints:
 * ```
 * version(1) keyId(text) kind(1: 0 stream, 1 view) user(12) binding(12, stream only) cluster(12)
 * newestTimestamp+1 topics { name(text) mark(6) lastSequence+1|0 partitions { partition-delta offset+1 age+1|0 } }
 * tag(16) = HMAC-SHA-256(everything before it)
 * ```
 * as base64url. Partitions are in ascending order and delta-coded; `age` is how much older than the cursor's newest
 * timestamp the one of this partition is, 0 where it is not known; `mark` is the beginning of the topic's id, zeros where
 * it is not known. The topic `~e` is an extension with the leader epochs of the records at the offsets, where they are known: its
 * partitions count the positions of all topics in their order, its offsets are the epochs. About 128 characters for an OWN stream.
 *
 * User key, binding and cluster id go in as fingerprints: a parsed position has the fingerprints, not the texts.
 * Compare by `checkCursor`, never by `===`.
 *
 * @param secrets `id:base64` comma-separated, 32 bytes or more each; the first signs, all verify. A function is asked for each cursor.
 * @throws Error naming what is wrong with `secrets`.
 */
export function openCursorCodec(secrets: string | (() => string)): CursorCodec {
  const current = typeof secrets === 'string' ? () => secrets : secrets;
  let known = current();
  let keys = readKeys(known);
  let signing = firstOf(keys);
  const fingerprints = openFingerprints();
  const topicNames = new Map<string, Buffer>();
  const marks = new Map<string, Buffer>();
  const writer = new ByteWriter();
  return { format, parse };

  /** Takes up keys that were rotated. Such as can't be used leave those of before: the configuration has said why. */
  function refresh(): void {
    const now = current();
    if (now === known) return;
    known = now;
    try {
      const read = readKeys(now);
      signing = firstOf(read);
      keys = read;
    } catch {
      // Refused where the file was read.
    }
  }

  function format(position: Position): string {
    refresh();
    writer.reset();
    writer.bytes(signing.hmac.innerPad);
    writer.byte(version);
    writer.bytes(signing.header);
    writer.byte(position.kind === 'stream' ? 0 : 1);
    writer.bytes(fingerprints('user', position.userKey));
    if (position.kind === 'stream') writer.bytes(fingerprints('binding', position.binding));
    writer.bytes(fingerprints('cluster', position.clusterId));
    writePartitions(position);
    writer.latin1(signing.hmac.digest(writer.written()), tagBytes);
    return writer.toBase64url(innerPadBytes);
  }

  function writePartitions({ partitions: given, sequences, topicMarks }: Position): void {
    const partitions = inOrder(given);
    let newest = -1;
    for (const { timestampMs } of partitions) if (timestampMs > newest && isKnown(timestampMs)) newest = timestampMs;
    writer.varint(newest + 1);
    const topics = topicsOf(partitions, sequences);
    let epochs = 0;
    for (const { leaderEpoch } of partitions) if (leaderEpoch !== undefined) epochs += 1;
    writer.varint(topics.length + (epochs > 0 ? 1 : 0));
    let at = 0;
    for (const topic of topics) {
      const first = at;
      while (partitions[at]?.topic === topic) at += 1;
      const name = topicName(topic);
      writer.varint(name.length);
      writer.bytes(name);
      writer.bytes(markBytes(ofTopic(topicMarks, topic)));
      writer.varint((ofTopic(sequences, topic) ?? -1) + 1);
      writer.varint(at - first);
      let previous = -1;
      for (let index = first; index < at; index += 1) {
        const item = partitions[index];
        if (item === undefined) break;
        writer.varint(item.partition - previous - 1);
        writer.varint(item.offset + 1);
        writer.varint(isKnown(item.timestampMs) ? newest - item.timestampMs + 1 : 0);
        previous = item.partition;
      }
    }
    if (epochs > 0) writeEpochs(partitions, epochs);
  }

  function writeEpochs(partitions: readonly PartitionPosition[], count: number): void {
    writer.bytes(epochsHeader);
    writer.varint(count);
    let previous = -1;
    for (let index = 0; index < partitions.length; index += 1) {
      const leaderEpoch = partitions[index]?.leaderEpoch;
      if (leaderEpoch === undefined) continue;
      writer.varint(index - previous - 1);
      writer.varint(leaderEpoch + 1);
      writer.varint(0); // no age
      previous = index;
    }
  }

  function topicName(topic: string): Buffer {
    let name = topicNames.get(topic);
    if (name === undefined) {
      if (topicNames.size >= 1_000) topicNames.clear();
      name = Buffer.from(topic, 'utf8');
      topicNames.set(topic, name);
    }
    return name;
  }

  function markBytes(mark: string | undefined): Buffer {
    if (mark === undefined) return noMark;
    let bytes = marks.get(mark);
    if (bytes === undefined) {
      if (marks.size >= 1_000) marks.clear();
      bytes = Buffer.from(mark, 'base64url');
      marks.set(mark, bytes);
    }
    return bytes;
  }

  function parse(cursor: string): Position {
    refresh();
    if (cursor.length === 0 || cursor.length > maxCursorLength) throw invalid('has no sensible length');
    const bytes = Buffer.from(cursor, 'base64url');
    // Node skips what is not base64url, and the last character has bits to spare: only the one spelling counts.
    if (bytes.toString('base64url') !== cursor) throw invalid('is not base64url');
    try {
      return read(bytes);
    } catch (error) {
      throw error instanceof PenstockError ? error : invalid('is malformed', error);
    }
  }

  function read(bytes: Buffer): Position {
    const reader = new ByteReader(bytes);
    const written = reader.byte();
    if (written < 1 || written > version) throw invalid('has an unknown version');
    const key = keys.get(reader.text());
    if (key === undefined) throw invalid('is signed with an unknown key');
    if (!holds(key.hmac, bytes)) throw invalid('has a signature that does not hold');
    const kind = kinds[reader.byte()];
    if (kind === undefined) throw invalid('has an unknown kind');
    const userKey = reader.bytes(fingerprintLength).toString('base64url');
    const binding = kind === 'stream' ? reader.bytes(fingerprintLength).toString('base64url') : '';
    const clusterId = reader.bytes(fingerprintLength).toString('base64url');
    const places = readPartitions(reader, written);
    if (reader.remaining !== tagBytes) throw invalid('has a wrong length');
    return { kind, userKey, binding, clusterId, ...places };
  }
}

/** One that a reader would refuse counts as not known: a view may have stored it before timestamps were bounded. */
function isKnown(timestampMs: number): boolean {
  return timestampMs >= 0 && timestampMs < Number.MAX_SAFE_INTEGER;
}

function holds({ innerPad, digest }: Hmac, bytes: Buffer): boolean {
  const signed = bytes.length - tagBytes;
  if (signed <= 0) return false;
  const tag = Buffer.from(digest(Buffer.concat([innerPad, bytes.subarray(0, signed)])), 'latin1');
  return timingSafeEqual(tag.subarray(0, tagBytes), bytes.subarray(signed));
}

function readPartitions(reader: ByteReader, written: number): StreamPosition {
  const newest = reader.varint() - 1;
  const partitions: PartitionPosition[] = [];
  const epochs = new Map<number, number>();
  const sequences: Record<string, number> = {};
  const topicMarks: Record<string, string> = {};
  for (let topics = reader.varint(); topics > 0; topics -= 1) {
    const topic = reader.text();
    const isExtension = topic.startsWith(extensionMark);
    const mark = written >= firstVersionWithMarks ? reader.bytes(topicMarkBytes) : noMark;
    if (!mark.equals(noMark) && !isExtension) topicMarks[topic] = mark.toString('base64url');
    const sequence = reader.varint() - 1;
    if (sequence >= 0 && !isExtension) sequences[topic] = sequence;
    let partition = -1;
    for (let count = reader.varint(); count > 0; count -= 1) {
      partition += reader.varint() + 1;
      const offset = reader.varint() - 1;
      const age = reader.varint();
      const timestampMs = age === 0 ? -1 : newest - age + 1;
      if (!isExtension) partitions.push({ topic, partition, offset, timestampMs });
      else if (topic === epochsExtension) epochs.set(partition, offset);
    }
  }
  for (const [index, leaderEpoch] of epochs) {
    const place = partitions[index];
    if (place !== undefined) partitions[index] = { ...place, leaderEpoch };
  }
  return { partitions, sequences, ...(Object.keys(topicMarks).length > 0 && { topicMarks }) };
}

interface SigningKey {
  /** The key's id as it stands in a cursor: length and text. */
  header: Buffer;
  hmac: Hmac;
}

function readKeys(secrets: string): ReadonlyMap<string, SigningKey> {
  const keys = new Map<string, SigningKey>();
  for (const item of secrets.split(',').map(text => text.trim())) {
    if (item === '') continue;
    const colon = item.indexOf(':');
    const id = item.slice(0, colon);
    if (colon < 1) throw new Error('cursor secrets: each must be id:base64');
    const secret = Buffer.from(item.slice(colon + 1), 'base64');
    if (secret.length < 32) throw new Error(`cursor secrets: ${id} has ${secret.length} bytes, 32 are needed`);
    if (keys.has(id)) throw new Error(`cursor secrets: ${id} is given twice`);
    const header = new ByteWriter();
    header.text(id);
    keys.set(id, { header: Buffer.from(header.written()), hmac: openHmac(secret) });
  }
  return keys;
}

function firstOf(keys: ReadonlyMap<string, SigningKey>): SigningKey {
  for (const key of keys.values()) return key;
  throw new Error('cursor secrets: none given');
}

function inOrder(partitions: readonly PartitionPosition[]): readonly PartitionPosition[] {
  for (let index = 1; index < partitions.length; index += 1) {
    const [before, here] = [partitions[index - 1], partitions[index]];
    if (before !== undefined && here !== undefined && compare(before, here) >= 0) {
      return [...partitions].sort(compare);
    }
  }
  return partitions;
}

function compare(a: PartitionPosition, b: PartitionPosition): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  return a.partition - b.partition;
}

function topicsOf(partitions: readonly PartitionPosition[], sequences: Readonly<Record<string, number>>): string[] {
  const topics: string[] = [];
  for (const { topic } of partitions) if (topics[topics.length - 1] !== topic) topics.push(topic);
  let added = false;
  for (const topic in sequences) {
    if (!topics.includes(topic)) {
      topics.push(topic);
      added = true;
    }
  }
  return added ? topics.sort() : topics;
}

function invalid(what: string, cause?: unknown): PenstockError {
  return new PenstockError('CURSOR_INVALID', `the cursor ${what}`, {}, cause);
}
