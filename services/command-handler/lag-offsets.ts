import type { TopicPartition } from '../../lib/kafka/index.ts';
import type { Reached } from './evidence.ts';
import type { Span } from './types.ts';

export type LagOffset = TopicPartition & { offset: number; topicId: string };

/** Positions that are to be committed to Kafka, where lag displays look at them. */
export interface LagOffsets {
  /** Keeps where these transactions ended, unless their claim is over: the position may be in a topic that is gone. */
  note(spans: readonly Span[]): void;
  forget(at: TopicPartition): void;
  /** Takes the positions of partitions that are held, in the topics that are claimed now. */
  take(held: readonly number[]): LagOffset[];
}

/** @param reached says which claim is the present one. */
export function openLagOffsets(reached: (at: TopicPartition) => Reached | undefined): LagOffsets {
  const noted = new Map<string, LagOffset>();
  return {
    note(spans) {
      for (const { topic, partition, epoch, toOffset } of spans) {
        const present = reached({ topic, partition });
        if (present?.epoch !== epoch) continue;
        noted.set(nameOf({ topic, partition }), { topic, partition, offset: toOffset, topicId: present.topicId });
      }
    },
    forget: at => void noted.delete(nameOf(at)),
    take(held) {
      const taken = [...noted.values()].filter(
        each => held.includes(each.partition) && reached(each)?.topicId === each.topicId,
      );
      noted.clear();
      return taken;
    },
  };
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
