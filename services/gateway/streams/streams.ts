import { canonicalArguments, compilePredicate } from '../../../lib/app/index.ts';
import { PenstockError } from '../../../lib/errors.ts';
import type { Growths, UnreadPartitions } from '../../../lib/kafka/index.ts';
import type { Tracer } from '../../../lib/ops/index.ts';
import {
  openPathStream,
  pathOf,
  type RecordStream,
  type RecordStreams,
  type StreamPosition,
  type StreamStart,
} from '../../../lib/replay/index.ts';
import type { Flow } from '../flow.ts';
import type { Call, GraphqlRequest } from '../graphql/request.ts';
import type { Selection } from '../graphql/selection.ts';
import type { GatewayMetrics } from '../metrics.ts';
import { type Cursors, expiredFor } from './cursors.ts';
import { openPace } from './pace.ts';
import { openRecordFlow } from './record-flow.ts';
import type { Records } from './records.ts';
import { askedStart } from './start.ts';
import { openCompleteness } from './unread.ts';

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
  tracer: Tracer | undefined;
  partitionCount: number;
  /** How the topics came to their partitions: a key's records may lie in several. */
  growths: Growths;
  unread: Pick<UnreadPartitions, 'of' | 'onChange'>;
  /** First offset whose timestamp is this or later. */
  offsetAt(topic: string, partition: number, timestampMs: number): Promise<number>;
  /** Bytes of records that may wait for a subscription. */
  bufferBytes: number;
}

export function openStreams(options: StreamsOptions): Streams {
  const { records, rendered, cursors, metrics, tracer, partitionCount, growths, offsetAt, bufferBytes } = options;
  // Slices of 20 ms keep the event loop for several times as long, and deliver no more (bench/README.md, Hot key).
  const pace = openPace({ sliceMs: 8, rowRecords: 16 });
  const completeness = openCompleteness(options.unread);
  const all = Array.from({ length: partitionCount }, (_, partition) => partition);
  return {
    async open({ plan, args, projection }, call, request) {
      const { userKey } = call.caller;
      const { topic } = plan;
      const path = plan.scope === 'OWN' ? pathOf(userKey, partitionCount, growths.get(topic) ?? []) : undefined;
      const key = path === undefined ? undefined : userKey;
      completeness.require(topic, key);
      const binding = canonicalArguments(plan.field, args);
      const cursorOf = (position: StreamPosition) => cursors.ofStream(userKey, binding, position);
      const openedAtMs = Date.now();
      const ends = askedAtOnce(() => records.ends(topic, path?.slice(-1).map(({ partition }) => partition) ?? all));
      try {
        const start = startOf(call, request, { userKey, binding, topic });
        const stream: RecordStream =
          path === undefined
            ? await records.open({ topic, partitions: all, key: undefined, start, bufferBytes })
            : await openPathStream({ ...records, offsetAt }, { topic, path, key: userKey, start, bufferBytes });
        return openRecordFlow({
          stream: completeness.guard(stream, topic, key),
          user: userKey,
          plan,
          projection,
          predicate: compilePredicate(plan.filters, args),
          cursorOf,
          cursorOwner: path === undefined ? undefined : { userKey, binding },
          records: rendered,
          pace,
          metrics,
          tracer,
          ends,
          openedAtMs,
        });
      } catch (error) {
        const partitions = path === undefined ? all : path.slice(0, 1).map(({ partition }) => partition);
        throw expiredFor(await withPosition(error, topic, partitions), cursorOf);
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

/** Asks now, so that the first call has the answer for this moment, and again with each later call. */
function askedAtOnce<Answer>(ask: () => Promise<Answer>): () => Promise<Answer> {
  let first: Promise<Answer> | undefined = ask();
  first.catch(() => undefined);
  return () => {
    const answer = first ?? ask();
    first = undefined;
    return answer;
  };
}
