import { PenstockError } from '../errors.ts';
import { fingerprint } from './fingerprint.ts';
import { ofTopic } from './topic-mark.ts';
import type { Position, StreamPosition } from './types.ts';

/** The subscription that a cursor is used for. */
export interface CursorUse {
  userKey: string;
  /** Subscription field and hash of its arguments, as the gateway formats it into cursors. */
  binding: string;
  topic: string;
  clusterId: string;
}

/**
 * Whether a parsed cursor may be used here, and what of it counts: the positions and sequences of `topic`.
 * A stream's cursor belongs to one field with its arguments; a view's cursor serves any stream over its topics.
 * @throws PenstockError CURSOR_INVALID: another user's, of another field or arguments, or not over this topic;
 *   CURSOR_EXPIRED: of another Kafka cluster (without `extensions.position`: see `RecordStreams.earliest`).
 */
export function checkCursor(position: Position, use: CursorUse): StreamPosition {
  if (position.userKey !== fingerprint('user', use.userKey)) throw invalid('belongs to another user');
  if (position.kind === 'stream' && position.binding !== fingerprint('binding', use.binding)) {
    throw invalid('belongs to another field or other arguments');
  }
  const partitions = position.partitions.filter(({ topic }) => topic === use.topic);
  if (partitions.length === 0) throw invalid('is not over the topic of this field');
  if (position.clusterId !== fingerprint('cluster', use.clusterId)) {
    throw new PenstockError('CURSOR_EXPIRED', 'the cursor was made for another Kafka cluster');
  }
  const sequence = ofTopic(position.sequences, use.topic);
  const mark = ofTopic(position.topicMarks, use.topic);
  return {
    partitions,
    sequences: sequence === undefined ? {} : { [use.topic]: sequence },
    ...(mark === undefined ? {} : { topicMarks: { [use.topic]: mark } }),
  };
}

function invalid(what: string): PenstockError {
  return new PenstockError('CURSOR_INVALID', `the cursor ${what}`);
}
