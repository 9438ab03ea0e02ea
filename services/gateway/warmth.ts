import type { AppPlan } from '../../lib/app/index.ts';
import { keyText, partitionOf } from '../../lib/kafka/index.ts';
import type { Logger } from '../../lib/ops/index.ts';
import type { RecordStreams } from '../../lib/replay/index.ts';
import type { GatewayMetrics } from './metrics.ts';
import { openRareLog } from './rare-log.ts';

export interface WarmthOptions {
  records: Pick<RecordStreams, 'hold' | 'release' | 'tap'>;
  plan: AppPlan;
  partitionCount: number;
  metrics: Pick<GatewayMetrics, 'misplaced'>;
  log: Logger;
}

/** Partitions whose topics are read whether anybody is subscribed or not, so that whoever comes finds them in memory. */
export interface Warmth {
  /** Resolves when all of the partition's topics are read. Again for a warm one: does nothing. */
  warm(partition: number): Promise<void>;
  cool(partition: number): void;
}

export function openWarmth({ records, plan, partitionCount, metrics, log }: WarmthOptions): Warmth {
  const watched = plan.topics.filter(({ usedAs }) => usedAs.has('records') || usedAs.has('feedback'));
  const warm = new Map<number, { ready: Promise<unknown>; cool(): void }>();
  const misplacedLog = openRareLog(log);
  return {
    async warm(partition) {
      const before = warm.get(partition);
      if (before !== undefined) return void (await before.ready);
      const ready = Promise.all(watched.map(({ name }) => records.hold(name, partition)));
      const watches = watched.map(({ name }) => watchPlacement(name, partition));
      warm.set(partition, {
        ready,
        cool() {
          for (const { name } of watched) records.release(name, partition);
          for (const stop of watches) stop();
        },
      });
      await ready;
    },
    cool(partition) {
      const before = warm.get(partition);
      warm.delete(partition);
      before?.cool();
    },
  };

  /** Records of other producers may lie where their key's readers don't look: each is seen by its partition's owner. */
  function watchPlacement(topic: string, partition: number): () => void {
    const tapped = records.tap(topic, partition, record => {
      const key = keyText(record);
      if (key === undefined || partitionOf(key, partitionCount) === partition) return;
      metrics.misplaced.inc({ topic });
      const line = { event: 'record_misplaced', topic, partition, offset: record.offset } as const;
      misplacedLog(topic, line, "a record lies in another partition than its key's: nobody streams it");
    });
    tapped.catch((error: unknown) =>
      log.debug({ event: 'placement_unwatched', error, topic, partition }, 'a partition is not watched'),
    );
    return () => {
      tapped.then(
        stop => stop(),
        () => {},
      );
    };
  }
}
