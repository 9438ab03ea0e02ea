import type pg from 'pg';
import type { ControlGroup, TopicPartition } from '../../lib/kafka/index.ts';
import type { Ops } from '../../lib/ops/index.ts';
import type { Claimed } from './claims.ts';
import { type Evidence, evidenceOfClaim, evidenceOfTrace, type Reached, reasonOf, type Trace } from './evidence.ts';
import { knownOf, readFault, reconciledLogs, recordFault } from './ledger-fault.ts';
import { readTails, type TailReading } from './log-tail.ts';
import type { OutboxRow, Span } from './types.ts';

export interface LedgerCheckOptions extends TailReading {
  pool: pg.Pool;
  committed: ControlGroup['committed'];
  /** Rows that this process has handed to its producer and that it still remembers. */
  underWay(): readonly OutboxRow[];
  ops: Pick<Ops, 'log' | 'readiness'>;
}

/** Tells a PostgreSQL that has gone back (see evidence.ts), before anything is decided or published on top of it. */
export interface LedgerCheck {
  /** Returns the partitions of these claims that may be served. */
  inspect(claims: readonly Claimed[]): Promise<ReadonlySet<number>>;
  /** Why a partition was not served, where the end of an event topic's partition could not be read: whether it may be is not known. */
  whyNotServed(partition: number): string | undefined;
  /** A transaction that moved these positions was committed. */
  noteCommitted(spans: readonly Span[]): void;
  /** How far the claim on a partition is known to have come. */
  reached(at: TopicPartition): Reached | undefined;
  /** Returns whether commands are stopped in this database, also by another handler's finding. */
  isStopped(): Promise<boolean>;
}

export function openLedgerCheck(options: LedgerCheckOptions): LedgerCheck {
  const { pool, committed, underWay, ops } = options;
  const memory = new Map<string, Reached>();
  /** Topics whose ends could not be read, by partition. */
  const unreadTopics = new Map<number, string>();

  return {
    async inspect(claims) {
      if (await isStopped()) return new Set();
      const partitions = [...new Set(claims.map(({ partition }) => partition))];
      const logs = await reconciledLogs(pool);
      const reconciledTo = ({ topic, partition, topicId }: TopicPartition & { topicId: string }): number =>
        logs.find(each => each.topic === topic && each.partition === partition && each.topicId === topicId)
          ?.endOffset ?? 0;
      const [offsets, { traces, unread }] = await Promise.all([
        committed(claims),
        readTails(options, partitions, at => at.offset >= reconciledTo(at)),
      ]);
      noteUnread(partitions, unread);
      const found = claims.flatMap(claim => {
        const witnesses = {
          committed: offsets.find(each => isSame(each, claim)),
          reached: memory.get(nameOf(claim)),
          reconciledTo: reconciledTo(claim),
        };
        return evidenceOfClaim(claim, witnesses) ?? [];
      });
      const everyTrace = traces.concat(tracesOf(underWay(), new Set(partitions)));
      for (const evidence of await evidenceIn(everyTrace)) found.push(evidence);
      const [first] = found;
      if (first !== undefined) {
        await stop(first, found.length);
        return new Set();
      }
      const served = partitions.filter(partition => !unread.has(partition));
      for (const claim of claims) if (served.includes(claim.partition)) note(claim, claim);
      return new Set(served);
    },
    whyNotServed(partition) {
      const topic = unreadTopics.get(partition);
      return topic && `the end of ${topic}/${partition} could not be read (has it a leader?)`;
    },
    noteCommitted(spans) {
      for (const span of spans) {
        const before = memory.get(nameOf(span));
        // After a later claim the position may be in a topic that is gone.
        if (before?.epoch === span.epoch) note(span, { ...before, position: span.toOffset });
      }
    },
    reached: at => memory.get(nameOf(at)),
    isStopped,
  };

  function noteUnread(partitions: readonly number[], unread: ReadonlyMap<number, string>): void {
    for (const partition of partitions) {
      const topic = unread.get(partition);
      if (topic === undefined) unreadTopics.delete(partition);
      else if (unreadTopics.get(partition) !== topic) {
        unreadTopics.set(partition, topic);
        ops.log.warn(
          { event: 'log_end_unread', topic, partition },
          'the end of an event partition could not be read: commands of that partition wait until it can',
        );
      }
    }
  }

  async function isStopped(): Promise<boolean> {
    const fault = await readFault(pool);
    ops.readiness.set('ledger', fault === undefined ? undefined : textOf(fault.reason, fault.detectedAt));
    return fault !== undefined;
  }

  async function evidenceIn(traces: readonly Trace[]): Promise<Evidence[]> {
    const known = traces.length === 0 ? [] : await knownOf(pool, traces);
    return traces.flatMap((trace, index) => {
      const has = known[index];
      return (has && evidenceOfTrace(trace, has)) ?? [];
    });
  }

  async function stop(evidence: Evidence, findings: number): Promise<void> {
    const reason = reasonOf(evidence);
    ops.log.error({ event: 'ledger_went_back', ...evidence, findings }, `PostgreSQL has gone back: ${reason}`);
    await recordFault(pool, reason);
    await isStopped();
  }

  function note(at: TopicPartition, { epoch, position, topicId }: Reached): void {
    memory.set(nameOf(at), { epoch, position, topicId });
  }
}

function textOf(reason: string, detectedAt: string): string {
  return `PostgreSQL has gone back (${detectedAt}: ${reason}); no command is decided until "npm run ledger-reconcile" has been run`;
}

function tracesOf(rows: readonly OutboxRow[], partitions: ReadonlySet<number>): Trace[] {
  return rows
    .filter(({ partition }) => partitions.has(partition))
    .map(({ topic, partition, key, sequence, eventId, commandId }) => ({
      ...{ topic, partition, offset: undefined, key, sequence, eventId, commandId },
    }));
}

function isSame(one: TopicPartition, other: TopicPartition): boolean {
  return one.topic === other.topic && one.partition === other.partition;
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
