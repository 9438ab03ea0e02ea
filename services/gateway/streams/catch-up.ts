import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaRecord } from '../../../lib/kafka/index.ts';
import type { RecordStream } from '../../../lib/replay/index.ts';
import type { Replay } from '../flow.ts';

/** Tells the records from before a subscription from those since, and when the last of them has been queued. */
export interface CatchUp extends Replay {
  /** Returns whether the record was appended before the subscription came. */
  isReplayed(record: KafkaRecord): boolean;
  /** The flow has queued more. */
  moved(): void;
  close(): void;
}

export interface CatchUpOptions {
  stream: Pick<RecordStream, 'watermark' | 'live'>;
  ends(): Promise<ReadonlyMap<number, number>>;
  /** When the subscription came. */
  openedAtMs: number;
}

/** The first ping waits this long for the log's end: what is delivered does not wait. */
const firstPingMs = 100;
/** Delay before the log's end is asked for again where Kafka has not answered, ms. */
const askAgainMs = 1_000;
/** Between two looks at a stream that has met live: the tail may be some milliseconds behind the log. */
const lookMs = { first: 5, longest: 500 };

export function openCatchUp({ stream, ends, openedAtMs }: CatchUpOptions): CatchUp {
  const over = Promise.withResolvers<void>();
  const closing = new AbortController();
  const { signal } = closing;
  /** By partition; undefined: not known yet. */
  let last: ReadonlyMap<number, number> | undefined;
  /** The log's end is of the time at which the subscription came, and not of later. */
  let isExact = true;
  let isOver = false;
  const asked = ask();
  const known = Promise.race([asked, sleep(firstPingMs, undefined, { signal, ref: false }).catch(() => undefined)]);
  void Promise.all([asked, stream.live]).then(look);
  return {
    known,
    over: over.promise,
    isOver: check,
    isReplayed({ partition, offset, timestampMs }) {
      if (isOver) return false;
      // What lies in another partition is of a stretch of the key's path that was over before.
      if (last !== undefined && offset >= (last.get(partition) ?? Number.POSITIVE_INFINITY)) return false;
      return (last !== undefined && isExact) || timestampMs < openedAtMs;
    },
    moved: () => void check(),
    close: () => closing.abort(),
  };

  async function ask(): Promise<void> {
    while (!signal.aborted) {
      try {
        last = await ends();
        return;
      } catch {
        isExact = false;
        await sleep(askAgainMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  /** Records that are not wanted pass without a word. */
  async function look(): Promise<void> {
    for (let waitMs = lookMs.first; !check() && !signal.aborted; waitMs = Math.min(lookMs.longest, waitMs * 2)) {
      await sleep(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  function check(): boolean {
    if (isOver || last === undefined || signal.aborted) return isOver;
    const reached = new Map(stream.watermark().partitions.map(({ partition, offset }) => [partition, offset]));
    for (const [partition, end] of last) {
      const offset = reached.get(partition);
      if (offset === undefined || offset + 1 < end) return false;
    }
    isOver = true;
    over.resolve();
    return true;
  }
}
