import type { AppPlan } from '../../lib/app/index.ts';
import { keyText, partitionOf } from '../../lib/kafka/index.ts';
import type { Logger } from '../../lib/ops/index.ts';
import type { Ownership, Tenure } from '../../lib/ownership/types.ts';
import type { RecordStreams } from '../../lib/replay/index.ts';
import type { Clients } from './clients.ts';
import type { GatewayMetrics } from './metrics.ts';
import { openRareLog, type RareLog } from './rare-log.ts';

export interface HandoverOptions {
  ownership: Ownership;
  clients: Clients;
  records: Pick<RecordStreams, 'hold' | 'release' | 'tap'>;
  plan: AppPlan;
  metrics: GatewayMetrics;
  log: Logger;
}

/**
 * What a gain or loss of a partition means here: an owned partition is kept warm, one that is handed over sees its
 * clients off within the window, one that was lost at once.
 */
export function followOwnership({ ownership, clients, records, plan, metrics, log }: HandoverOptions): void {
  const { partitionCount } = ownership;
  const watched = plan.topics.filter(({ usedAs }) => usedAs.has('records') || usedAs.has('feedback'));
  const warm = new Map<number, () => void>();
  const misplacedLog = openRareLog(log);

  ownership.onTransition((partition, tenure, { event }) => {
    if (tenure.state === 'owned') keepWarm(partition);
    if (tenure.state === 'handing-over') seeOff(partition, tenure);
    if (tenure.state === 'foreign') {
      warm.get(partition)?.();
      if (event === 'lost' || event === 'fenced')
        clients.moveOn(partition, 0, () => isLeaving(ownership.tenure(partition)));
    }
  });
  for (let partition = 0; partition < partitionCount; partition++) {
    if (ownership.tenure(partition).state === 'owned') keepWarm(partition);
  }
  clients.onEmptied(release);
  // It may have been let in just before its partition left.
  clients.onJoined(({ partition, routed }) => {
    const tenure = ownership.tenure(partition);
    if (tenure.state === 'handing-over') seeOff(partition, tenure);
    else if (routed && tenure.state === 'foreign') clients.moveOn(partition, 0);
  });

  function seeOff(partition: number, { untilMs }: Tenure & { state: 'handing-over' }): void {
    clients.moveOn(partition, Math.max(0, untilMs - Date.now()), () => isLeaving(ownership.tenure(partition)));
    // Not inside the transition that brought us here.
    if (clients.count(partition) === 0) setImmediate(release, partition);
  }

  function release(partition: number): void {
    if (ownership.tenure(partition).state === 'handing-over' && clients.count(partition) === 0) {
      ownership.released(partition);
    }
  }

  function keepWarm(partition: number): void {
    if (warm.has(partition)) return;
    for (const { name } of watched) records.hold(name, partition);
    const watches = watched.map(({ name }) => watchPlacement(name, partition));
    warm.set(partition, () => {
      warm.delete(partition);
      for (const { name } of watched) records.release(name, partition);
      for (const stop of watches) stop();
    });
  }

  /** Records of other producers may lie where their key's readers don't look: each is seen by its partition's owner. */
  function watchPlacement(topic: string, partition: number): () => void {
    const tapped = records.tap(topic, partition, record => {
      const key = keyText(record);
      if (key === undefined || partitionOf(key, partitionCount) === partition) return;
      metrics.misplaced.inc({ topic });
      reportMisplaced(misplacedLog, topic, partition, record.offset);
    });
    tapped.catch((error: unknown) => log.debug({ error, topic, partition }, 'a partition is not watched'));
    return () => {
      tapped.then(
        stop => stop(),
        () => {},
      );
    };
  }
}

function isLeaving(tenure: Tenure): boolean {
  return tenure.state === 'handing-over' || tenure.state === 'foreign';
}

function reportMisplaced(log: RareLog, topic: string, partition: number, offset: number): void {
  log(topic, { topic, partition, offset }, "a record lies in another partition than its key's: nobody streams it");
}
