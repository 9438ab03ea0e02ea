import type { CommittedOffset, TopicPartition } from '../../lib/kafka/index.ts';
import type { Claim } from './claims.ts';

/**
 * PostgreSQL that goes back — a failover to a standby that lagged, a restored backup — forgets sequence numbers that the log
 * has. New events under those numbers are repeats to every stream and view, which drop them without a word. What is here tells
 * such a database, by what others remember of it. Pure. Each rule holds only because the ledger commits first:
 * what the group, the log or this process has seen was committed before, so that a ledger without it has lost it.
 */
export type Evidence = TopicPartition &
  (
    | { kind: 'position'; stored: number; reached: number }
    | { kind: 'epoch'; stored: number; reached: number }
    | { kind: 'sequence'; offset: number | undefined; stored: number; reached: number }
    | { kind: 'verdict'; offset: number | undefined; reached: number }
  );

/** How far this process knows that a claim had come: the transaction that says so was committed. */
export type Reached = Pick<Claim, 'epoch' | 'position' | 'topicId'>;

/** A record that a handler has put into an event topic, or has handed to its producer. */
export interface Trace extends TopicPartition {
  /** Undefined while it is on its way. */
  offset: number | undefined;
  key: string;
  /** `ce_keysequence`. */
  sequence: number;
  /** `ce_id`. */
  eventId: string;
  /** `ce_commandid`: only a verdict has one. */
  commandId: string | undefined;
}

/** What the ledger has of a trace. */
export interface Known {
  /** Last sequence of its key; 0 for a key that it does not know. */
  sequence: number;
  /** `ce_id` of the verdict on its command. */
  verdictId: string | undefined;
}

export interface Witnesses {
  committed: CommittedOffset | undefined;
  reached: Reached | undefined;
  /**
   * Offset up to which `ledger-reconcile` has dealt with the topic, or from which the position went back when its log was cut: what
   * others remember up to there counts no more.
   */
  reconciledTo: number;
}

/** Returns why a claim shows that the ledger has gone back; undefined when nothing does. */
export function evidenceOfClaim(
  claim: Pick<Claim, 'topic' | 'partition' | 'epoch' | 'position' | 'topicId'>,
  { committed, reached, reconciledTo }: Witnesses,
): Evidence | undefined {
  const { topic, partition, epoch, position: stored } = claim;
  if (reached !== undefined && epoch <= reached.epoch) {
    return { kind: 'epoch', topic, partition, stored: epoch, reached: reached.epoch };
  }
  const positions = [
    committed?.topicId === claim.topicId ? committed.offset : 0,
    reached?.topicId === claim.topicId ? reached.position : 0,
  ];
  const furthest = positions.reduce((most, each) => (each > reconciledTo ? Math.max(most, each) : most), 0);
  return furthest > stored ? { kind: 'position', topic, partition, stored, reached: furthest } : undefined;
}

/** Returns why a trace shows that the ledger has gone back; undefined when it does not. */
export function evidenceOfTrace(trace: Trace, known: Known): Evidence | undefined {
  const { topic, partition, offset, sequence: reached } = trace;
  if (known.sequence < reached) {
    return { kind: 'sequence', topic, partition, offset, stored: known.sequence, reached };
  }
  if (trace.commandId !== undefined && known.verdictId !== trace.eventId) {
    return { kind: 'verdict', topic, partition, offset, reached };
  }
  return undefined;
}

/** Returns a sentence for operators; it names no user. */
export function reasonOf(evidence: Evidence): string {
  const place = `${evidence.topic}/${evidence.partition}`;
  const at =
    'offset' in evidence ? (evidence.offset === undefined ? ', on its way,' : ` at offset ${evidence.offset}`) : '';
  switch (evidence.kind) {
    case 'position':
      return `${place} had been taken up to offset ${evidence.reached}, and the ledger is at ${evidence.stored}`;
    case 'epoch':
      return `${place} had been claimed with epoch ${evidence.reached}, and the ledger has given ${evidence.stored} after it`;
    case 'sequence':
      return `a record of ${place}${at} has sequence ${evidence.reached} of its key, and the ledger is at ${evidence.stored}`;
    case 'verdict':
      return `the verdict in ${place}${at} with sequence ${evidence.reached} of its key is not the ledger's`;
  }
}
