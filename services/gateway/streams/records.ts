import { type Filled, fillShape, type Shape } from '../../../lib/app/index.ts';
import { headerText, type KafkaRecord } from '../../../lib/kafka/index.ts';
import type { Logger } from '../../../lib/ops/index.ts';
import type { Projection } from '../graphql/projection.ts';
import type { GatewayMetrics } from '../metrics.ts';
import { openRareLog } from '../rare-log.ts';

/** What records become, worked out once each however many subscriptions want them. */
export interface Records {
  /** The record as the type; undefined where it is none: counted and logged, once. */
  object(shape: Shape, record: KafkaRecord): Readonly<Record<string, unknown>> | undefined;
  /** The result's JSON members. */
  members(projection: Projection, record: KafkaRecord, object: Readonly<Record<string, unknown>>): string;
  /**
   * The cursor behind a record, for streams whose position is nothing but it: all streams of one user and binding over
   * one partition, after the same sequence number, have the same. Signing it costs more than all the rest of a delivery.
   */
  cursor(record: KafkaRecord, of: CursorOwner, sequence: number | undefined, make: () => string): string;
}

/** Who may use a cursor, and for what. */
export interface CursorOwner {
  readonly userKey: string;
  readonly binding: string;
}

type SkipReason = 'tombstone' | 'misfit';

/** What is known of one record; nearly always one entry in each list. */
interface Known {
  sizeBytes: number;
  objects: { shape: Shape; filled: Filled }[];
  results: { projection: Projection; members: string }[];
  cursors: { of: CursorOwner; sequence: number | undefined; cursor: string }[];
}

/** Subscriptions take a record at nearly the same time: who is later than this many records works it out again. */
const remembered = 1_024;
/** A record is kept as it came, as an object and as text. */
const copies = 3;
const overheadBytes = 512;

/** @param maxBytes of what is remembered, roughly; whoever comes later works it out again. */
export function openRecords(metrics: GatewayMetrics, log: Logger, maxBytes: number): Records {
  // Not a WeakMap: that costs the garbage collector more than the work that it saves.
  const known = new Map<KafkaRecord, Known>();
  const skippedLog = openRareLog(log);
  let knownBytes = 0;

  return {
    object(shape, record) {
      const { objects } = knownOf(record);
      let found = objects.find(object => object.shape === shape);
      if (!found) {
        found = { shape, filled: fillShape(shape, record) };
        objects.push(found);
        if (!found.filled.ok) skipped(shape, record, found.filled.reason);
      }
      return found.filled.ok ? found.filled.value : undefined;
    },
    members(projection, record, object) {
      const mine = knownOf(record);
      const found = mine.results.find(result => result.projection === projection);
      if (found) return found.members;
      const members = projection.members(object);
      // One copy is counted with the record. Aliases make of a field as many as they are.
      const moreBytes = mine.results.length === 0 ? Math.max(0, members.length - mine.sizeBytes) : members.length;
      if (mine.sizeBytes + moreBytes > maxBytes / 4) return members;
      mine.results.push({ projection, members });
      mine.sizeBytes += moreBytes;
      knownBytes += moreBytes;
      forget();
      return members;
    },
    cursor(record, of, sequence, make) {
      const { cursors } = knownOf(record);
      const found = cursors.find(
        known => known.sequence === sequence && known.of.userKey === of.userKey && known.of.binding === of.binding,
      );
      if (found) return found.cursor;
      const cursor = make();
      cursors.push({ of, sequence, cursor });
      return cursor;
    },
  };

  function knownOf(record: KafkaRecord): Known {
    let found = known.get(record);
    if (!found) {
      const sizeBytes = overheadBytes + copies * (record.value?.length ?? 0);
      found = { sizeBytes, objects: [], results: [], cursors: [] };
      known.set(record, found);
      knownBytes += sizeBytes;
      forget();
    }
    return found;
  }

  /** The oldest, until the others fit; never the one that is being taken. */
  function forget(): void {
    while (known.size > 1 && (known.size > remembered || knownBytes > maxBytes)) {
      const oldest = known.entries().next();
      if (oldest.done === true) return;
      const [record, { sizeBytes }] = oldest.value;
      known.delete(record);
      knownBytes -= sizeBytes;
    }
  }

  function skipped(shape: Shape, record: KafkaRecord, why: string): void {
    const { topic, partition, offset } = record;
    const reason: SkipReason = record.value === null ? 'tombstone' : 'misfit';
    metrics.skipped.inc({ topic, reason });
    if (reason === 'tombstone') return;
    const traceparent = headerText(record.headers, 'traceparent');
    const line = { topic, partition, offset, type: shape.typeName, why, traceparent };
    skippedLog(topic, { event: 'stream_record_skipped', ...line }, 'a stream skipped a record');
  }
}
