import { messageOf } from '../../lib/errors.ts';
import type { EpochEnd, TopicPartition, Topics } from '../../lib/kafka/index.ts';
import type { Ops } from '../../lib/ops/index.ts';

export const truncatedMessage =
  'a command partition has lost its end (an unclean leader election); its commands are taken up from where it was cut';

/** A position whose log was truncated below it by an unclean leader election, and what the log says of the position's epoch. */
export interface Cut extends TopicPartition {
  position: number;
  leaderEpoch: number | undefined;
  found: EpochEnd;
}

/** Returns whether the record before the position is gone. What is not known is believed. */
export function isCut({ position, leaderEpoch, found }: Omit<Cut, 'found'> & { found: EpochEnd | undefined }): boolean {
  if (leaderEpoch === undefined || found === undefined) return false;
  return found.leaderEpoch !== leaderEpoch || found.endOffset < position;
}

/**
 * Returns where commands may lie that nobody has taken up: the point from which on the log is another one. Where nothing is left of
 * the position's epoch, that is the beginning of the epoch that comes next below it: rather earlier than too late, since a
 * command that was decided already is recognised by its id. Rejects when Kafka does not answer.
 */
export async function goOnFrom(topics: Pick<Topics, 'epochEnd' | 'offsets'>, cut: Cut): Promise<number> {
  const { topic, partition, position, leaderEpoch, found } = cut;
  const below = found.leaderEpoch - 1;
  let from = found.endOffset;
  if (found.leaderEpoch !== leaderEpoch) {
    from = below < 0 ? 0 : ((await topics.epochEnd(cut, below))?.endOffset ?? 0);
  }
  const { start = 0 } = (await topics.offsets(topic, [partition])).get(partition) ?? {};
  return Math.min(position, Math.max(start, from));
}

export interface GoBackOptions {
  topics: Pick<Topics, 'epochEnd' | 'offsets'>;
  ops: Pick<Ops, 'log'>;
  /** Called before the partition is read again from this offset on. */
  onTruncated(at: TopicPartition, from: number): Promise<void>;
  /** Reads again from this offset on. */
  goBack(at: TopicPartition, offset: number): void;
  /** Called where Kafka does not say from where: the partition is claimed again. */
  onUnknown(at: TopicPartition): void;
}

/** Returns what is done with a partition that was found truncated while it was read. Never rejects. */
export function openGoBack(options: GoBackOptions): (cut: Cut) => Promise<void> {
  const { topics, ops, onTruncated, goBack, onUnknown } = options;
  return async cut => {
    const { topic, partition, position, found } = cut;
    try {
      const from = await goOnFrom(topics, cut);
      ops.log.error(
        { event: 'command_log_truncated', topic, partition, position, from, leaderEpoch: found.leaderEpoch },
        truncatedMessage,
      );
      await onTruncated({ topic, partition }, from);
      goBack(cut, from);
    } catch (error) {
      ops.log.warn(
        { event: 'command_log_cut_unknown', topic, partition, reason: messageOf(error) },
        'where a command partition was cut is not known yet',
      );
      onUnknown(cut);
    }
  };
}
