import { messageOf } from '../../lib/errors.ts';
import type { DeadLetters, KafkaRecord } from '../../lib/kafka/index.ts';
import type { LogEvent, Ops } from '../../lib/ops/index.ts';
import type { Feed } from './feed.ts';
import type { Feeds } from './feeds.ts';
import type { ProjectorMetrics } from './metrics.ts';

/** A record that feeds no table, and why. */
export interface Misfit {
  record: KafkaRecord;
  reason: string;
}

/** Sees to it that no position passes a misfit whose dead letter is not written. A letter holds up its own partition only. */
export interface Letters {
  /** Whether the record's letter is acknowledged, or skipped by configuration. */
  isSettled(record: KafkaRecord): boolean;
  /** Sends letters of one partition, which waits for them. What is not sent of them at once is to be posted again. */
  post(feed: Feed, misfits: readonly Misfit[]): void;
}

export interface LettersOptions {
  feeds: Pick<Feeds, 'hold' | 'release' | 'block' | 'tell'>;
  /** Undefined: letters are skipped. */
  deadLetters: Pick<DeadLetters, 'send'> | undefined;
  metrics: Pick<ProjectorMetrics, 'deadLettersSkipped'>;
  ops: Pick<Ops, 'log'>;
}

/** Of one partition's letters under way, so that those of a topic that is stuck leave room for others in the lanes. */
const most = { letters: 500, bytes: 262_144 };
/** A letter that takes longer than this is told in readiness, ms. */
const slowMs = 2_000;
const backOffMs = { first: 500, most: 10_000 };
/** What dead letters name as their cause. */
const exception = 'penstock.projector.MisfitException';

export function openLetters({ feeds, deadLetters, metrics, ops }: LettersOptions): Letters {
  const settled = new WeakSet<KafkaRecord>();
  /** How often in a row a partition's letters could not be written. */
  const failures = new WeakMap<Feed, number>();

  function settle({ record, reason }: Misfit, event: LogEvent<'warn'>, message: string): void {
    settled.add(record);
    const { topic, partition, offset } = record;
    ops.log.warn({ event, topic, partition, offset, reason }, message);
  }

  async function deliver(letters: Pick<DeadLetters, 'send'>, misfit: Misfit): Promise<void> {
    await letters.send({ ...misfit, exception });
    settle(misfit, 'view_letter_written', 'a record feeds no table');
  }

  function why(feed: Feed, misfits: readonly Misfit[], problem: string): string {
    const { topic, partition } = feed.at;
    const offset = misfits.find(({ record }) => !settled.has(record))?.record.offset;
    const advice = 'mend that topic, or set PENSTOCK_PROJECTOR_DEAD_LETTERS=skip';
    return `${topic}/${partition} waits at offset ${offset} for its dead letter: ${problem}; ${advice}`;
  }

  return {
    isSettled: record => settled.has(record),
    post(feed, misfits) {
      if (deadLetters === undefined) {
        for (const misfit of misfits) {
          settle(misfit, 'view_letter_skipped', 'a record feeds no table; its dead letter is skipped');
          metrics.deadLettersSkipped.inc({ topic: misfit.record.topic });
        }
        return;
      }
      const some = firstOf(misfits);
      feeds.hold(feed);
      const slow = setTimeout(
        () => feeds.tell(feed, why(feed, some, `${feed.at.topic}-dlt is not acknowledged yet`)),
        slowMs,
      ).unref();
      void Promise.allSettled(some.map(misfit => deliver(deadLetters, misfit))).then(results => {
        clearTimeout(slow);
        const failed = results.find(result => result.status === 'rejected');
        if (failed === undefined) {
          failures.delete(feed);
          feeds.release(feed);
          return;
        }
        const before = failures.get(feed) ?? 0;
        failures.set(feed, before + 1);
        const waitMs = Math.min(backOffMs.most, backOffMs.first * 2 ** Math.min(10, before));
        feeds.block(feed, why(feed, some, messageOf(failed.reason)), waitMs);
      });
    },
  };
}

/** At least one. */
function firstOf(misfits: readonly Misfit[]): readonly Misfit[] {
  let bytes = 0;
  const end = misfits.findIndex(({ record }, index) => {
    bytes += (record.key?.length ?? 0) + (record.value?.length ?? 0);
    return index > 0 && (index >= most.letters || bytes > most.bytes);
  });
  return end < 0 ? misfits : misfits.slice(0, end);
}
