import type { Predicate, StreamPlan } from '../../../lib/app/index.ts';
import type { KafkaRecord } from '../../../lib/kafka/index.ts';
import type { Tracer } from '../../../lib/ops/index.ts';
import type { RecordStream, StreamPosition, StreamRecord } from '../../../lib/replay/index.ts';
import type { EventSink, Flow } from '../flow.ts';
import type { Projection } from '../graphql/projection.ts';
import type { GatewayMetrics } from '../metrics.ts';
import { beginEvent } from '../tracing/deliveries.ts';
import { openCatchUp } from './catch-up.ts';
import { expiredFor } from './cursors.ts';
import type { Pace } from './pace.ts';
import type { CursorOwner, Records } from './records.ts';

export interface RecordFlowOptions {
  stream: RecordStream;
  /** Whose it is. */
  user: string;
  plan: StreamPlan;
  projection: Projection;
  /** Undefined: every record that is one of the type. */
  predicate: Predicate | undefined;
  cursorOf(position: StreamPosition): string;
  /** Set where the stream is one user's over one partition: its cursors are shared with its like. */
  cursorOwner: CursorOwner | undefined;
  records: Records;
  pace: Pace;
  metrics: GatewayMetrics;
  tracer: Tracer | undefined;
  /** Where the log ended when the subscription came, by partition; a later call, where it rejects, asks again. */
  ends(): Promise<ReadonlyMap<number, number>>;
  /** When the subscription came. */
  openedAtMs: number;
  now?: () => number;
}

/** From a sequence of records to events with cursors, at the pace of who takes them. */
export function openRecordFlow(options: RecordFlowOptions): Flow {
  const {
    stream,
    user,
    plan,
    projection,
    predicate,
    cursorOf,
    cursorOwner,
    records,
    pace,
    metrics,
    tracer,
    openedAtMs,
    now = Date.now,
  } = options;
  const delivered = metrics.delivered.labels(plan.topic);
  const open = metrics.subscriptions.labels(plan.scope);
  const catchUp = openCatchUp({ stream, ends: options.ends, openedAtMs });
  let closed = false;
  open.inc();
  return {
    replay: catchUp,
    cursor: () => (closed ? undefined : cursorOf(stream.watermark())),
    async run(sink) {
      try {
        await deliver(sink);
      } catch (error) {
        throw expiredFor(error, cursorOf);
      } finally {
        close();
      }
    },
    close,
  };

  async function deliver(sink: EventSink): Promise<void> {
    let inRow = 0;
    while (!closed) {
      const batch = await stream.next();
      if (!batch) return;
      for (const item of batch) {
        const turn = pace.turn(inRow++, user);
        if (turn !== undefined) {
          await turn;
          inRow = 1;
        }
        const object = matching(item.record);
        if (object === undefined) {
          stream.advance(item);
          continue;
        }
        const span = tracer && isNew(item.record) ? beginEvent(tracer, item.record, plan.field) : undefined;
        // The position must not pass a record that is not queued yet: a ping would tell the client to skip it.
        for (let room = sink.room(); room !== undefined && !closed; room = sink.room()) await room;
        if (closed) return;
        // Only now: a result may be many times as large as its record, and would wait beside all budgets.
        const members = records.members(projection, item.record, object);
        sink.next(members, cursorBehind(item), catchUp.isReplayed(item.record));
        span?.end();
        count(item.record);
      }
      catchUp.moved();
    }
  }

  function cursorBehind(item: StreamRecord): string {
    const position = stream.advance(item);
    if (cursorOwner === undefined) return cursorOf(position);
    return records.cursor(item.record, cursorOwner, position.sequences[plan.topic], () => cursorOf(position));
  }

  /** Undefined where the record is none of the type, or does not match. */
  function matching(record: KafkaRecord): Readonly<Record<string, unknown>> | undefined {
    const object = records.object(plan.shape, record);
    return object && (!predicate || predicate(object)) ? object : undefined;
  }

  /** What was appended before the subscription began is late for reasons of its own: it is neither measured nor traced. */
  function isNew({ timestampMs }: KafkaRecord): boolean {
    return timestampMs >= openedAtMs;
  }

  function count(record: KafkaRecord): void {
    delivered.inc();
    const { timestampMs } = record;
    if (isNew(record)) metrics.deliverySeconds.observe(Math.max(0, now() - timestampMs) / 1_000);
  }

  function close(): void {
    if (closed) return;
    closed = true;
    open.dec();
    catchUp.close();
    stream.close();
  }
}
