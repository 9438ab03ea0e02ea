import type { KafkaRecord, ReadFaultAt, TopicPartition } from '../kafka/types.ts';
import { Flow, type FlowStream } from './flow.ts';
import type { Point } from './log-record.ts';
import type { ReplayMetrics } from './metrics.ts';
import type { Scans } from './scan.ts';
import { Seam } from './seam.ts';
import type { SequenceMemory } from './sequence-filter.ts';
import type { Tails } from './tail.ts';
import { topicMark } from './topic-mark.ts';

/** Repeats pass: whoever waits for a verdict wants the repeated one too. */
const noMemory: SequenceMemory = { last: () => undefined, pass: () => undefined };

/** Where too many replays wait, Kafka does not answer, or its listener threw, it tries again after this, ms. */
const busyMs = 200;

/**
 * A stream without a taker: every record from now on goes to the listener as it comes, at once. After a fault of the
 * tail it goes on behind the last one; where that is gone, at the log's end.
 */
export async function beginTap(
  at: TopicPartition,
  listener: (record: KafkaRecord) => void,
  parts: { tails: Tails; scans: Scans; metrics: ReplayMetrics },
): Promise<() => void> {
  let ended = false;
  const stream: FlowStream = {
    key: undefined,
    mark: undefined,
    scans: parts.scans,
    buffer: undefined,
    histories: { shares: async () => true },
    metrics: parts.metrics,
    readTurns: undefined,
    hasRoom: () => true,
    mayKeep: () => true,
    keep: () => undefined,
    queue: ({ record }) => listener(record),
    replayed: () => true,
    wentLive: () => undefined,
    interrupted(stopped, _fault, where) {
      const common = lastInCommon(stopped.passed, began, where);
      if (common !== undefined) stopped.rollBack(common);
      stopped.goOn(false);
    },
    faulted(stopped, fault) {
      // A listener that threw has heard its record: what comes behind it is heard all the same.
      if (fault === 'BUSY' || fault === 'SILENT' || fault === 'SINK_FAILED')
        setTimeout(() => stopped.goOn(false), busyMs).unref();
      else again();
    },
  };
  let began: Point = { offset: -1, timestampMs: -1 };
  let flow = await begin();
  return () => {
    ended = true;
    flow.close();
  };

  async function begin(): Promise<Flow> {
    const tail = parts.tails.acquire(at, false);
    await tail.ready();
    // There is nothing of another topic behind what has been heard of this one.
    const topicId = tail.topicId();
    stream.mark = topicId && topicMark(topicId);
    began = tail.reached();
    const begun = new Flow(at, tail, new Seam(began, noMemory), stream);
    begun.begin(false);
    if (ended) begun.close();
    return begun;
  }

  function again(): void {
    const before = flow;
    begin().then(
      begun => {
        flow = begun;
      },
      () => undefined, // the streams are closed: nothing will come any more
    );
    before.close(); // not earlier: a tail without users stops, and would begin at a later end of the log
  }
}

/**
 * Where a log that was truncated has new records that nobody has heard. Where the epoch heard last is gone altogether, some
 * are heard again rather than missed: from where the tap began.
 */
function lastInCommon(passed: Point, began: Point, { diverging }: ReadFaultAt): Point | undefined {
  if (diverging === undefined) return undefined;
  const { leaderEpoch, endOffset } = diverging;
  const isExact = leaderEpoch === passed.leaderEpoch;
  const offset = Math.min(passed.offset, endOffset - 1, isExact ? Number.POSITIVE_INFINITY : began.offset);
  return { offset, timestampMs: -1, ...(isExact && { leaderEpoch }) };
}
