import type { Command } from '../../lib/app/commands.ts';
import type { KafkaRecord, TopicPartition } from '../../lib/kafka/types.ts';
import type { Span as TraceSpan } from '../../lib/ops/index.ts';

/** A record of a command topic, sorted by what can be done with it. */
export type Intake = CommandIntake | DeadIntake;

interface IntakePlace {
  at: TopicPartition & { offset: number };
  /** When the record was appended, ms. */
  timestampMs: number;
  sizeBytes: number;
}

/** Who asked is known, and where to answer: it gets a verdict, if only a refusal. */
export interface CommandIntake extends IntakePlace {
  kind: 'command';
  command: Command;
  feedbackTopic: string;
  /** The command's trace, handed on to all that follows from it. */
  traceparent: string | undefined;
  /** Of the command, while a batch has it; undefined where nothing is traced. */
  span?: TraceSpan | undefined;
  /** Why it can't be decided; the app puts it into the feedback. */
  refusal: string | undefined;
}

/** Nobody can be answered: the record goes to the dead-letter topic as it came. */
export interface DeadIntake extends IntakePlace {
  kind: 'dead';
  /** Names the class of problem, as Spring's headers do. */
  exception: string;
  message: string;
  record: KafkaRecord;
}

/** Identity of an outbox row. */
export interface RowId {
  /** User key. */
  key: string;
  /** `ce_keysequence`. */
  sequence: number;
  /** 0 for what a command wrote; a verdict that is published again gets a number that no other row ever has. */
  repetition: number;
}

/** Where an outbox row is found: in the partition of its own key. */
export interface RowPlace extends RowId {
  partition: number;
}

/** What is to be published. */
export interface OutboxRow extends RowPlace {
  topic: string;
  /** `ce_id`. */
  eventId: string;
  /** `ce_commandid`, for feedback only. */
  commandId: string | undefined;
  traceparent: string | undefined;
  timeMs: number;
  /** JSON. */
  value: string;
  /** When the command was appended, ms: known to the handler that has just decided it, for its feedback. */
  appendedMs: number | undefined;
}

/** One partition's share of a batch: `fromOffset` is the stored position, `toOffset` the one after the batch. */
export interface Span extends TopicPartition {
  epoch: number;
  fromOffset: number;
  toOffset: number;
  /** Leader epoch of the record before `toOffset`, where it is known. */
  toLeaderEpoch?: number | undefined;
}
