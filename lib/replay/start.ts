import type { EpochEnd } from '../kafka/types.ts';
import type { Bounds } from './fresh-offsets.ts';
import { isInLog } from './history.ts';
import type { Point } from './log-record.ts';
import { isSameTopic } from './topic-mark.ts';

/** What a start position is, measured against the log as it is now. */
export type StartVerdict =
  | { verdict: 'good' }
  /** Good, if the record at the position still has its timestamp: a topic made anew has offsets like the old one. */
  | { verdict: 'check' }
  /** `anew`: this may not be the log that the position was made for; what is known of sequences does not count either. */
  | {
      verdict: 'expired';
      reason: string;
      anew: boolean;
      /** It is the same topic, whose log was cut below the position. */
      truncated?: true;
    };

/**
 * @param bounds fresh; undefined where the partition does not exist.
 * @param mark of the topic that the position was made for, where it is known.
 * @param epochEnd fresh: what the log says of the position's leader epoch; undefined where one of them is not known.
 */
export function judgeStart(
  position: Point,
  bounds: Bounds | undefined,
  mark: string | undefined,
  epochEnd?: EpochEnd,
): StartVerdict {
  const { offset, timestampMs } = position;
  if (bounds === undefined) return { verdict: 'expired', reason: 'the partition does not exist', anew: true };
  if (!isSameTopic(mark, bounds.topicId)) return { verdict: 'expired', reason: 'the topic was made anew', anew: true };
  if (offset + 1 < bounds.start) return { verdict: 'expired', reason: 'the log begins after it', anew: false };
  if (!isInLog(position, epochEnd)) {
    const reason = 'the log was truncated before it, and may have other records there';
    return { verdict: 'expired', reason, anew: true, truncated: true };
  }
  if (offset >= bounds.end) return { verdict: 'expired', reason: 'the log ends before it', anew: true };
  return { verdict: timestampMs >= 0 && offset >= bounds.start ? 'check' : 'good' };
}

/** Where a stream can go on when its position is gone: at the log's beginning. */
export function earliestPoint(bounds: Bounds | undefined): Point {
  return { offset: (bounds?.start ?? 0) - 1, timestampMs: -1 };
}
