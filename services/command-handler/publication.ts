import type { Outbox } from './outbox.ts';
import type { OutboxRow } from './types.ts';

/**
 * The tenure of each partition that a transaction writes for, fixed before it looks for the rest of its keys' rows; {@link unread}
 * where it does not look, because nothing more of the partition may be published.
 */
export type Tenures = ReadonlyMap<number, number | undefined>;

/** No tenure has this number: what is written under it is left to a select, also if the partition has room again by then. */
export const unread = 0;

/** What a committed transaction tells about the outbox. */
export interface Written {
  /** The rows that it wrote itself, repeated verdicts among them. */
  own: readonly OutboxRow[];
  /** Rows of the same keys, in owned partitions, that were still there and that memory did not know. */
  rest: readonly OutboxRow[];
  /** False when there were more of them than the transaction read. */
  restComplete: boolean;
  tenures: Tenures;
}

export interface Publication {
  /** To be handed to the producer in this order. */
  rows: OutboxRow[];
  /** Owned partitions whose remaining rows must be selected: memory can't vouch for what precedes, or has no room for them. */
  behind: Set<number>;
  /** Partitions that somebody else owns by now and that nobody has been notified of. */
  foreign: Set<number>;
}

export function tenuresOf(
  outbox: Pick<Outbox, 'tenure'>,
  partitions: Iterable<number>,
  hasRoom: (partition: number) => boolean = () => true,
): Tenures {
  return new Map(
    [...new Set(partitions)].map(partition => {
      const tenure = outbox.tenure(partition);
      return [partition, tenure === undefined || hasRoom(partition) ? tenure : unread];
    }),
  );
}

/**
 * After a commit: each key's own rows and the rest of them, in order of sequence. A partition that was gained, lost or begun
 * anew since `tenures` was fixed is left to a select, because the rest of its rows was never looked for; so is one that has
 * no room: its rows wait in the outbox.
 */
export function publicationOf(
  outbox: Outbox,
  written: Written,
  hasRoom: (partition: number) => boolean = () => true,
): Publication {
  const publication: Publication = { rows: [], behind: new Set(), foreign: new Set() };
  const vouched: OutboxRow[] = [];
  for (const row of [...written.rest, ...written.own]) {
    const before = written.tenures.get(row.partition);
    const now = outbox.tenure(row.partition);
    const isVouched = now !== undefined && now === before && written.restComplete;
    if (isVouched && hasRoom(row.partition)) vouched.push(row);
    else if (now !== undefined) publication.behind.add(row.partition);
    else if (before !== undefined) publication.foreign.add(row.partition);
  }
  vouched.sort((a, b) => a.sequence - b.sequence || a.repetition - b.repetition);
  publication.rows = outbox.learn(vouched);
  return publication;
}
