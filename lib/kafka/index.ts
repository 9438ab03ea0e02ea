/**
 * Kafka, as the rest of the project sees it: lanes to produce, a direct reader to consume, a control group to agree on
 * owners, and metadata. Everything about kafkajs ends here.
 */
export { connectKafka, type KafkaConnection, type KafkaOps } from './connection.ts';
export { joinControlGroup } from './control-group.ts';
export { type DeadLetter, type DeadLetters, DeadLetterTopicError, openDeadLetters } from './dead-letters.ts';
export {
  FencedMemberError,
  KafkaUnavailableError,
  LogTruncatedError,
  OffsetOutOfRangeError,
  PartitionCountError,
  ProduceError,
  TooLargeError,
  UnknownTopicError,
  UnreadableBatchError,
} from './errors.ts';
export { describeAssignment, evictMember, type GroupAssignment } from './group-admin.ts';
export { type Growth, type Growths, readGrowths, recordGrowth } from './growths.ts';
export { lagsOf, type PartitionLag } from './lag.ts';
export { type LaneOptions, openLanes } from './lanes.ts';
export { murmur2, partitionOf } from './murmur2.ts';
export { type Unread, type UnreadPartitions, watchPartitions } from './partition-watch.ts';
export { openReader, type ReaderOptions } from './reader.ts';
export { headerText, keyText, sequenceOf } from './records.ts';
export { recordSkip, type Skip, SkipRefusedError } from './skips.ts';
export { type Claimant, planSticky } from './sticky-plan.ts';
export { openTopics } from './topics.ts';
export type * from './types.ts';
