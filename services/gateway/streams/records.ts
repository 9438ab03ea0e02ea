import { type Filled, fillShape, type Shape } from '../../../lib/app/index.ts';
import type { KafkaRecord } from '../../../lib/kafka/index.ts';
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
}

type SkipReason = 'tombstone' | 'misfit';

export function openRecords(metrics: GatewayMetrics, log: Logger): Records {
  const objects = new WeakMap<KafkaRecord, Map<Shape, Filled>>();
  const results = new WeakMap<KafkaRecord, Map<Projection, string>>();
  const skippedLog = openRareLog(log);

  return {
    object(shape, record) {
      let known = objects.get(record);
      if (!known) objects.set(record, (known = new Map()));
      let filled = known.get(shape);
      if (!filled) {
        filled = fillShape(shape, record);
        known.set(shape, filled);
        if (!filled.ok) skipped(shape, record, filled.reason);
      }
      return filled.ok ? filled.value : undefined;
    },
    members(projection, record, object) {
      let known = results.get(record);
      if (!known) results.set(record, (known = new Map()));
      let members = known.get(projection);
      if (members === undefined) {
        members = projection.members(object);
        known.set(projection, members);
      }
      return members;
    },
  };

  function skipped(shape: Shape, record: KafkaRecord, why: string): void {
    const { topic, partition, offset } = record;
    const reason: SkipReason = record.value === null ? 'tombstone' : 'misfit';
    metrics.skipped.inc({ topic, reason });
    if (reason === 'tombstone') return;
    skippedLog(topic, { topic, partition, offset, type: shape.typeName, why }, 'a stream skipped a record');
  }
}
