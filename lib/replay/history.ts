/**
 * Which history of a log a position is in. After an unclean leader election a log may be shorter, and grow again with other
 * records: offsets are the same then, and only leader epochs differ (KIP-101, KIP-320). A leader alone writes under its epoch,
 * behind all that it has; so two logs that have a record of one epoch at one offset are the same up to there.
 */
import { type EpochEnd, type TopicPartition, type Topics, UnknownTopicError } from '../kafka/index.ts';
import type { Point } from './log-record.ts';
import type { Tail } from './tail.ts';

type HistoryTail = Pick<Tail, 'reached' | 'isReading'>;

export interface Histories {
  /**
   * Returns true where the record at this point is known to be in the log that the tail reads, or where nobody knows under
   * which epoch it was read. No broker is asked. False says nothing: {@link end} tells.
   */
  vouches(at: TopicPartition, tail: HistoryTail, point: Point): boolean;
  /**
   * Returns what `Topics.epochEnd` says, asked after this call was made; a herd shares its questions.
   * Rejects when Kafka does not answer.
   */
  end(at: TopicPartition, leaderEpoch: number | undefined): Promise<EpochEnd | undefined>;
  /** Returns whether the record at this point is in the log: by what the tail has read, or by asking. Rejects as {@link end}. */
  holds(at: TopicPartition, tail: HistoryTail, point: Point): Promise<boolean>;
  /**
   * Returns whether records up to this one, which somebody else has read, may be shown as far as the tail has read. Rejects as
   * {@link end}.
   */
  shares(at: TopicPartition, tail: HistoryTail, last: Point): Promise<boolean>;
  /** Forgets what was answered: the partition's tail has stopped, and its log may have been cut. */
  forget(at: TopicPartition): void;
}

/** Epochs of a partition, and partitions, whose ends are remembered. */
const most = { epochs: 32, partitions: 20_000 };

/** Returns whether a record that was read is still in the log, by what the log says of its epoch. What is not known is believed. */
export function isInLog({ offset, leaderEpoch }: Point, found: EpochEnd | undefined): boolean {
  if (leaderEpoch === undefined || found === undefined) return true;
  return found.leaderEpoch === leaderEpoch && offset < found.endOffset;
}

export function openHistories(topics: Pick<Topics, 'epochEnd'>): Histories {
  /** By partition, then epoch; one object for each life of a tail. */
  const known = new Map<string, Map<number, EpochEnd>>();
  const underWay = new Map<string, Promise<unknown>>();
  const next = new Map<string, Promise<EpochEnd | undefined>>();
  return { vouches, end, holds, shares, forget: at => void known.delete(nameOf(at)) };

  function vouches(at: TopicPartition, tail: HistoryTail, point: Point): boolean {
    const { leaderEpoch, offset } = point;
    if (leaderEpoch === undefined) return true;
    const reached = tail.reached();
    // What a tail has read is in the log: each of its fetches says after which epoch it goes on. Without one, nobody knows.
    if (!tail.isReading() || reached.leaderEpoch === undefined || offset > reached.offset) return false;
    if (leaderEpoch === reached.leaderEpoch) return true;
    const found = known.get(nameOf(at))?.get(leaderEpoch);
    return found !== undefined && isInLog(point, found);
  }

  async function holds(at: TopicPartition, tail: HistoryTail, point: Point): Promise<boolean> {
    return vouches(at, tail, point) || isInLog(point, await end(at, point.leaderEpoch));
  }

  async function shares(at: TopicPartition, tail: HistoryTail, last: Point): Promise<boolean> {
    // Perhaps further than the tail, but written by the leader whose records it reads: up to the tail they are the same.
    const isSameLeader = tail.isReading() && last.leaderEpoch === tail.reached().leaderEpoch;
    return isSameLeader || holds(at, tail, last);
  }

  function end(at: TopicPartition, leaderEpoch: number | undefined): Promise<EpochEnd | undefined> {
    if (leaderEpoch === undefined) return Promise.resolve(undefined);
    const question = `${nameOf(at)}/${leaderEpoch}`;
    const waiting = next.get(question);
    if (waiting !== undefined) return waiting;
    const asked = (underWay.get(question) ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        next.delete(question);
        return ask(at, leaderEpoch, question);
      });
    next.set(question, asked);
    return asked;
  }

  async function ask(at: TopicPartition, leaderEpoch: number, question: string): Promise<EpochEnd | undefined> {
    const ends = endsOf(nameOf(at));
    const asking = topics.epochEnd(at, leaderEpoch).catch((error: unknown) => {
      // That is for the bounds to tell.
      if (error instanceof UnknownTopicError) return undefined;
      throw error;
    });
    underWay.set(question, asking);
    try {
      const found = await asking;
      // A tail that has stopped meanwhile has taken the map away: what is put into it is not looked at any more.
      if (found !== undefined) ends.set(leaderEpoch, found);
      return found;
    } finally {
      if (underWay.get(question) === asking) underWay.delete(question);
    }
  }

  function endsOf(name: string): Map<number, EpochEnd> {
    let ends = known.get(name);
    if (ends === undefined || ends.size >= most.epochs) {
      if (known.size >= most.partitions) known.clear();
      ends = new Map();
      known.set(name, ends);
    }
    return ends;
  }
}

/** What has to be known of a flow whose position is not in the log any more. */
export interface CutFlow {
  /** Everything up to here was looked at. */
  passed: Point;
  /** The last record that the taker was given, or the position with which it came; -1 for one that came with none. */
  given: Point;
}

/**
 * Returns where a cut flow can go on as if nothing had happened, because all that it was given is still in the log; undefined
 * where it has given away records that are gone, or nobody can tell.
 * @param passedEnd, givenEnd what the log says of the epochs of `passed` and `given`.
 */
export function commonPoint(
  { passed, given }: CutFlow,
  passedEnd: EpochEnd | undefined,
  givenEnd: EpochEnd | undefined,
): Point | undefined {
  if (passedEnd !== undefined && passedEnd.leaderEpoch === passed.leaderEpoch && given.offset < passedEnd.endOffset) {
    return { offset: passedEnd.endOffset - 1, timestampMs: -1, leaderEpoch: passedEnd.leaderEpoch };
  }
  const isKnown = given.leaderEpoch !== undefined && givenEnd !== undefined;
  return isKnown && isInLog(given, givenEnd) ? given : undefined;
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
