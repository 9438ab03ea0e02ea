import { PenstockError } from '../../../lib/errors.ts';
import { partitionOf, type Unread, type UnreadPartitions } from '../../../lib/kafka/index.ts';
import type { RecordStream } from '../../../lib/replay/index.ts';

/**
 * Whether a stream may lack records: those of its key, or of all keys where that is undefined, lie or may lie in a partition
 * that was added by other means, and that has records already.
 */
export function isIncomplete(unread: Unread | undefined, key: string | undefined): boolean {
  if (unread === undefined) return false;
  return key === undefined ? unread.records.size > 0 : unread.records.has(partitionOf(key, unread.count));
}

/** Refuses and ends streams that would lack records without a word. */
export interface Completeness {
  /** @throws PenstockError UNAVAILABLE */
  require(topic: string, key: string | undefined): void;
  /** The same stream; its `next` throws UNAVAILABLE from the moment at which it is incomplete. */
  guard(stream: RecordStream, topic: string, key: string | undefined): RecordStream;
}

export function openCompleteness(partitions: Pick<UnreadPartitions, 'of' | 'onChange'>): Completeness {
  const guarded = new Set<() => void>();
  partitions.onChange(() => {
    for (const look of [...guarded]) look();
  });

  function require(topic: string, key: string | undefined): void {
    if (!isIncomplete(partitions.of(topic), key)) return;
    throw new PenstockError('UNAVAILABLE', 'the stream is not available now: some of its records are not read');
  }

  return {
    require,
    guard(stream, topic, key) {
      const look = () => {
        if (isIncomplete(partitions.of(topic), key)) stream.close();
      };
      const close = () => {
        guarded.delete(look);
        stream.close();
      };
      guarded.add(look);
      return {
        async next() {
          require(topic, key);
          const records = await stream.next();
          if (records === undefined) require(topic, key);
          return records;
        },
        advance: record => stream.advance(record),
        watermark: () => stream.watermark(),
        live: stream.live,
        close,
      };
    },
  };
}
