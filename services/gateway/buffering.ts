import type { AppPlan } from '../../lib/app/index.ts';
import type { Ownership, Tenure } from '../../lib/ownership/types.ts';
import type { RecordStreams } from '../../lib/replay/index.ts';

/**
 * Keeps the replay buffer of owned partitions, for the topics of OWN streams: only they ask for one key, what ALL streams
 * want the log alone has. One that is handed over is kept until the successor's claim shuts this gateway out.
 */
export function bufferOwned(
  ownership: Pick<Ownership, 'tenure' | 'onTransition' | 'verify' | 'partitionCount'>,
  records: Pick<RecordStreams, 'keepBuffer' | 'leaveBuffer'>,
  plan: Pick<AppPlan, 'streams'>,
): void {
  const streams = [...plan.streams.values()];
  const topics = new Set(streams.filter(({ scope }) => scope === 'OWN').map(({ topic }) => topic));
  ownership.onTransition(follow);
  for (let partition = 0; partition < ownership.partitionCount; partition++) {
    follow(partition, ownership.tenure(partition));
  }

  function follow(partition: number, tenure: Tenure): void {
    if (tenure.state === 'owned') {
      const { generation, epoch: counter } = tenure;
      const claim = { generation, counter, verify: () => ownership.verify(partition) };
      for (const topic of topics) records.keepBuffer(topic, partition, claim);
    } else if (tenure.state === 'foreign') {
      for (const topic of topics) records.leaveBuffer(topic, partition);
    }
  }
}
