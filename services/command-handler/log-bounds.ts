import { KafkaUnavailableError, type Topics } from '../../lib/kafka/index.ts';

/**
 * Returns where the log of each partition begins and ends. A partition that has no leader, or whose leader does not answer, is left
 * out: the others need not wait for it.
 * @throws KafkaUnavailableError when none of them answers
 */
export async function boundsOf(
  topics: Pick<Topics, 'offsets'>,
  topic: string,
  partitions: readonly number[],
): ReturnType<Topics['offsets']> {
  try {
    return await topics.offsets(topic, partitions);
  } catch (error) {
    if (!(error instanceof KafkaUnavailableError) || partitions.length < 2) throw error;
    const each = await Promise.allSettled(partitions.map(partition => topics.offsets(topic, [partition])));
    const found = new Map(each.flatMap(result => (result.status === 'fulfilled' ? [...result.value] : [])));
    if (found.size === 0) throw error;
    return found;
  }
}
