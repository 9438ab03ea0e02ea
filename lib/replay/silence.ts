/** Partitions that Kafka does not answer for: whoever wants to read one waits for it here, and keeps no place meanwhile. */
import { KafkaUnavailableError, type TopicPartition, type Topics } from '../kafka/index.ts';
import type { Logger } from '../ops/index.ts';
import { openBackOff } from './waiting.ts';

export interface Silences {
  /** Notes that a read of the partition was not answered. One question after the other is put to it from now on. */
  note(at: TopicPartition): void;
  /** Resolves when the partition answers again, or when `signal` is aborted. Undefined where it is not known to be silent. */
  over(at: TopicPartition): Promise<void> | undefined;
}

/** At most one entry and one question under way a partition. */
export function openSilences(topics: Pick<Topics, 'offsets'>, log: Logger, signal: AbortSignal): Silences {
  const silent = new Map<string, Promise<void>>();
  return {
    note(at) {
      const name = nameOf(at);
      if (silent.has(name) || signal.aborted) return;
      log.warn({ event: 'replay_partition_silent', ...at }, 'a partition does not answer: replays of it wait');
      silent.set(
        name,
        answered(at).finally(() => silent.delete(name)),
      );
    },
    over: at => silent.get(nameOf(at)),
  };

  /** Any answer will do, also that the topic is gone: the scan finds out what it means. */
  async function answered({ topic, partition }: TopicPartition): Promise<void> {
    const backOff = openBackOff(signal);
    while (!signal.aborted) {
      try {
        await topics.offsets(topic, [partition]);
        return;
      } catch (error) {
        if (!(error instanceof KafkaUnavailableError)) return;
      }
      await backOff.wait();
    }
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
