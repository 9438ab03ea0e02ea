import { canonicalArguments, compilePredicate } from '../../../lib/app/index.ts';
import { PenstockError } from '../../../lib/errors.ts';
import { partitionOf } from '../../../lib/kafka/index.ts';
import type { RecordStreams, StreamPosition, StreamStart } from '../../../lib/replay/index.ts';
import type { Flow } from '../flow.ts';
import type { Call, GraphqlRequest } from '../graphql/request.ts';
import type { Selection } from '../graphql/selection.ts';
import type { GatewayMetrics } from '../metrics.ts';
import { type Cursors, expiredFor } from './cursors.ts';
import { openPace } from './pace.ts';
import { openRecordFlow } from './record-flow.ts';
import type { Records } from './records.ts';
import { askedStart } from './start.ts';

export type StreamSelection = Selection & { kind: 'stream' };

/** Subscriptions to records. */
export interface Streams {
  /**
   * @throws PenstockError BAD_USER_INPUT, CURSOR_INVALID, CURSOR_EXPIRED (with `earliest`, a cursor to go on from),
   *   UNAVAILABLE.
   */
  open(selection: StreamSelection, call: Call, request: Pick<GraphqlRequest, 'extensions'>): Promise<Flow>;
}

export interface StreamsOptions {
  records: RecordStreams;
  rendered: Records;
  cursors: Cursors;
  metrics: GatewayMetrics;
  partitionCount: number;
  /** Bytes of records that may wait for a subscription. */
  bufferBytes: number;
}

export function openStreams(options: StreamsOptions): Streams {
  const { records, rendered, cursors, metrics, partitionCount, bufferBytes } = options;
  const pace = openPace({ sliceMs: 20, rowRecords: 16 });
  const all = Array.from({ length: partitionCount }, (_, partition) => partition);
  return {
    async open({ plan, args, projection }, call, request) {
      const { userKey } = call.caller;
      const own = plan.scope === 'OWN';
      const partitions = own ? [partitionOf(userKey, partitionCount)] : all;
      const binding = canonicalArguments(plan.field, args);
      const cursorOf = (position: StreamPosition) => cursors.ofStream(userKey, binding, position);
      try {
        const stream = await records.open({
          topic: plan.topic,
          partitions,
          key: own ? userKey : undefined,
          start: startOf(call, request, { userKey, binding, topic: plan.topic }),
          bufferBytes,
        });
        return openRecordFlow({
          stream,
          user: userKey,
          plan,
          projection,
          predicate: compilePredicate(plan.filters, args),
          cursorOf,
          cursorOwner: own ? { userKey, binding } : undefined,
          records: rendered,
          pace,
          metrics,
        });
      } catch (error) {
        throw expiredFor(await withPosition(error, plan.topic, partitions), cursorOf);
      }
    },
  };

  /** A cursor of another cluster says nothing about where this one's log begins. */
  async function withPosition(error: unknown, topic: string, partitions: readonly number[]): Promise<unknown> {
    const isExpired = error instanceof PenstockError && error.code === 'CURSOR_EXPIRED';
    if (!isExpired || 'position' in error.extensions) return error;
    const position = await records.earliest(topic, partitions);
    return new PenstockError(error.code, error.message, { ...error.extensions, position }, error);
  }

  function startOf(
    call: Call,
    { extensions }: Pick<GraphqlRequest, 'extensions'>,
    use: { userKey: string; binding: string; topic: string },
  ): StreamStart {
    const asked = askedStart({ lastEventId: call.lastEventId, extensions });
    return asked.kind === 'cursor' ? { kind: 'position', position: cursors.read(asked.cursor, use) } : asked;
  }
}
