import { codes } from './wire/error-codes.ts';

/** What a partition's answer to a produce request means for its batch. */
export type Verdict =
  /** Written; the answer has the base offset. */
  | 'written'
  /** Written by an earlier attempt, but the broker does not remember at which offset. */
  | 'written-somewhere'
  /** Not written; the same batch again, after a moment. */
  | 'again'
  /** Perhaps written; the same batch again: the broker drops it by its sequence if it was. */
  | 'again-unsure'
  /** Not written; the leader is another. */
  | 'moved'
  /** Refused as it is; in smaller batches what is acceptable of it gets through. */
  | 'split'
  /** The producer's sequence is broken: the same records again under a new producer id. */
  | 'new-producer'
  /** Refused for good. */
  | 'refused';

/** Every code that a broker may answer; unknown ones are tried again until the record's time is over. */
export function judge(errorCode: number): Verdict {
  switch (errorCode) {
    case codes.NONE:
      return 'written';
    case codes.DUPLICATE_SEQUENCE_NUMBER:
      return 'written-somewhere';
    case codes.UNKNOWN_TOPIC_OR_PARTITION:
    case codes.LEADER_NOT_AVAILABLE:
    case codes.NOT_LEADER_OR_FOLLOWER:
    case codes.FENCED_LEADER_EPOCH:
    case codes.UNKNOWN_LEADER_EPOCH:
    case codes.KAFKA_STORAGE_ERROR:
      return 'moved';
    case codes.CORRUPT_MESSAGE:
    case codes.NOT_ENOUGH_REPLICAS:
      return 'again';
    case codes.MESSAGE_TOO_LARGE:
    case codes.RECORD_LIST_TOO_LARGE:
    case codes.INVALID_RECORD:
    case codes.INVALID_TIMESTAMP:
      return 'split';
    case codes.OUT_OF_ORDER_SEQUENCE_NUMBER:
    case codes.INVALID_PRODUCER_EPOCH:
    case codes.UNKNOWN_PRODUCER_ID:
      return 'new-producer';
    case codes.INVALID_TOPIC_EXCEPTION:
    case codes.TOPIC_AUTHORIZATION_FAILED:
    case codes.CLUSTER_AUTHORIZATION_FAILED:
      return 'refused';
    default:
      // REQUEST_TIMED_OUT and NOT_ENOUGH_REPLICAS_AFTER_APPEND: the leader has it, its replicas perhaps.
      return 'again-unsure';
  }
}

export function isTooLarge(errorCode: number): boolean {
  return errorCode === codes.MESSAGE_TOO_LARGE || errorCode === codes.RECORD_LIST_TOO_LARGE;
}
