import type pg from 'pg';
import { messageOf } from '../../lib/errors.ts';
import {
  type Assignment,
  FencedMemberError,
  type TopicPartition,
  type Topics,
  UnknownTopicError,
} from '../../lib/kafka/index.ts';
import type { Ops } from '../../lib/ops/index.ts';
import { type Claim, type Claimed, claim, type LogOf } from './claims.ts';
import { goOnFrom, isCut, truncatedMessage } from './divergence.ts';
import { boundsOf } from './log-bounds.ts';
import { openSignal, pause } from './signal.ts';

export interface TenureOptions {
  pool: pg.Pool;
  topics: Pick<Topics, 'identity' | 'offsets' | 'epochEnd'>;
  commandTopics: readonly string[];
  ops: Pick<Ops, 'log' | 'readiness'>;
  /** Rejects with FencedMemberError when this member is not in the group with its generation any more. */
  heartbeat(): Promise<void>;
  /** Returns those partitions of new claims that may be served: the ledger is as new as the log. */
  inspect(claims: readonly Claimed[]): Promise<ReadonlySet<number>>;
  /** Why a partition was not among them, where that is known. */
  whyNotServed?(partition: number): string | undefined;
  /**
   * All command topics of the partition are claimed. `readFrom` is behind the position where the log begins later, and before it
   * where the log was truncated.
   */
  onHeld(partition: number, claims: readonly (Claim & { readFrom: number })[]): void;
  /**
   * A log was found shorter than the position, and by the position's epoch it is no other topic's. It is read from this offset on,
   * when what is returned has resolved.
   */
  onTruncated(at: TopicPartition, from: number): Promise<void>;
  /** At once, before anybody else can have claimed it where possible. */
  onLetGo(partition: number): void;
}

/** Which partitions this handler holds: assigned by the group, claimed in PostgreSQL. */
export interface TenureKeeper {
  assigned(assignment: Pick<Assignment, 'generation' | 'partitions'>): void;
  /** The group has lost us, or we leave: everything is let go. */
  lost(): void;
  /** What memory says of these is not to be trusted: let them go and claim them again while they are assigned. */
  claimAgain(partitions: Iterable<number>, afterMs?: number): void;
  held(): readonly number[];
  isHeld(partition: number): boolean;
  /** Partitions that are assigned and not held. */
  missing(): number;
  close(): Promise<void>;
}

const busyMs = 20;
const retryMs = 500;

export function keepTenures(options: TenureOptions): TenureKeeper {
  const { pool, topics, commandTopics, ops, heartbeat, inspect, onHeld, onTruncated, onLetGo } = options;
  let generation = 0;
  let assigned = new Set<number>();
  const held = new Set<number>();
  /** Partitions that a later generation holds, and that are ours all the same: we have just heartbeaten. */
  const forced = new Set<number>();
  /** Partitions whose log does not reach to their position, and why that keeps us from being ready. */
  const displaced = new Map<number, string>();
  /** How often claims were called in question: what was found out about them before is not to be trusted. */
  let doubts = 0;
  const asked = openSignal();
  const ending = new AbortController();
  const running = run();

  return {
    assigned(assignment) {
      generation = assignment.generation;
      assigned = new Set(assignment.partitions);
      for (const partition of [...held]) if (!assigned.has(partition)) letGo(partition);
      for (const partition of displaced.keys()) if (!assigned.has(partition)) displaced.delete(partition);
      tellDisplaced();
      asked.raise();
    },
    lost() {
      assigned = new Set();
      for (const partition of [...held]) letGo(partition);
      displaced.clear();
      tellDisplaced();
    },
    claimAgain(partitions, afterMs = 0) {
      doubts++;
      for (const partition of partitions) letGo(partition);
      if (afterMs === 0) asked.raise();
      else void pause(afterMs, ending.signal).then(() => asked.raise());
    },
    held: () => [...held],
    isHeld: partition => held.has(partition),
    missing: () => [...assigned].filter(partition => !held.has(partition)).length,
    async close() {
      ending.abort();
      asked.raise();
      await running;
    },
  };

  function letGo(partition: number): void {
    if (held.delete(partition)) onLetGo(partition);
  }

  function tellDisplaced(): void {
    ops.readiness.set('positions', [...displaced.values()][0]);
  }

  function tellMissing(missing: readonly number[]): void {
    const why = missing.map(partition => options.whyNotServed?.(partition)).find(each => each !== undefined);
    const reason = `${missing.length} partitions are to be claimed${why === undefined ? '' : `: ${why}`}`;
    ops.readiness.set('claims', missing.length > 0 ? reason : undefined);
  }

  async function run(): Promise<void> {
    while (!ending.signal.aborted) {
      await asked.wait();
      for (;;) {
        const missing = [...assigned].filter(partition => !held.has(partition));
        tellMissing(missing);
        if (missing.length === 0 || ending.signal.aborted) break;
        const waitMs = await claimMissing(missing).catch((error: unknown) => {
          ops.log.warn(
            { event: 'command_claim_failed', reason: messageOf(error) },
            'partitions could not be claimed; trying again',
          );
          return retryMs;
        });
        if (waitMs > 0) await pause(waitMs, ending.signal);
      }
    }
  }

  /** Returns how long to wait before what is missing is tried again, ms. */
  async function claimMissing(wantedNow: readonly number[]): Promise<number> {
    const under = assigned;
    let missing = wantedNow;
    const bounds = new Map<string, { start: number; end: number }>();
    const ids = new Map<string, string>();
    for (const topic of commandTopics) {
      // Its id first: should the topic change meanwhile, what is read by the old id is nothing.
      const identity = await topics.identity(topic);
      if (identity === undefined) throw new UnknownTopicError(topic);
      ids.set(topic, identity.topicId);
      const found = await boundsOf(topics, topic, missing);
      for (const [partition, bound] of found) bounds.set(nameOf({ topic, partition }), bound);
      missing = missing.filter(partition => found.has(partition));
    }
    const logOf: LogOf = at => ({ start: bounds.get(nameOf(at))?.start ?? 0, topicId: ids.get(at.topic) ?? '' });
    let waitMs = missing.length < wantedNow.length ? retryMs : 0;
    for (const force of [false, true]) {
      const wanted = placesOf(missing.filter(partition => forced.has(partition) === force));
      if (wanted.length === 0) continue;
      const before = doubts;
      const result = await claim(pool, wanted, generation, logOf, force);
      if (result.busy.length > 0) waitMs = Math.max(waitMs, busyMs);
      if (result.stale.length > 0) waitMs = Math.max(waitMs, await believe(result.stale, under));
      const complete = missing
        .map(partition => result.claimed.filter(each => each.partition === partition))
        .filter(claims => claims.length === commandTopics.length);
      const served = complete.length > 0 ? await inspect(complete.flat()) : new Set<number>();
      const cuts = await cutsOf(complete.flat(), bounds);
      for (const claims of complete) {
        const partition = claims[0]?.partition ?? -1;
        if (before !== doubts || !served.has(partition) || !hold(partition, claims, bounds, cuts)) waitMs = retryMs;
      }
    }
    return waitMs;
  }

  /**
   * Where the logs that end before their positions were cut, as far as the positions' epochs tell. A log that has grown past its
   * position again is found out by the reader: that needs no question here.
   */
  async function cutsOf(
    claims: readonly Claimed[],
    bounds: ReadonlyMap<string, { end: number }>,
  ): Promise<ReadonlyMap<string, number>> {
    const cuts = new Map<string, number>();
    for (const { topic, partition, position, leaderEpoch, anew } of claims) {
      const end = bounds.get(nameOf({ topic, partition }))?.end ?? position;
      if (anew || leaderEpoch == null || position <= end) continue;
      const found = await topics.epochEnd({ topic, partition }, leaderEpoch);
      if (found === undefined || !isCut({ topic, partition, position, leaderEpoch, found })) continue;
      const from = await goOnFrom(topics, { topic, partition, position, leaderEpoch, found });
      ops.log.error({ event: 'command_log_truncated', topic, partition, position, from }, truncatedMessage);
      await onTruncated({ topic, partition }, from);
      cuts.set(nameOf({ topic, partition }), from);
    }
    return cuts;
  }

  /** A later generation is believed only if ours is over: a group that was empty for long begins again at 1. */
  async function believe(stale: readonly TopicPartition[], under: ReadonlySet<number>): Promise<number> {
    try {
      await heartbeat();
      for (const { partition } of stale) forced.add(partition);
      return 0;
    } catch (error) {
      if (!(error instanceof FencedMemberError)) throw error;
      // Another assignment may have come meanwhile: what was asked concerned the one before.
      if (assigned === under) for (const { partition } of stale) assigned.delete(partition);
      return 0;
    }
  }

  function placesOf(partitions: readonly number[]): TopicPartition[] {
    return partitions.flatMap(partition => commandTopics.map(topic => ({ topic, partition })));
  }

  /** False where the log does not reach to the position: another log, or one that has lost its end. */
  function hold(
    partition: number,
    claims: readonly Claimed[],
    bounds: ReadonlyMap<string, { start: number; end: number }>,
    cuts: ReadonlyMap<string, number>,
  ): boolean {
    forced.delete(partition);
    if (!assigned.has(partition) || held.has(partition)) return true;
    const readable = claims.map(each => {
      const { start, end } = bounds.get(nameOf(each)) ?? { start: 0, end: Number.POSITIVE_INFINITY };
      return { ...each, start, end, readFrom: cuts.get(nameOf(each)) ?? Math.max(start, each.position) };
    });
    displaced.delete(partition);
    for (const { topic, position, start, end, anew, readFrom } of readable) {
      if (anew)
        ops.log.error(
          { event: 'command_topic_recreated', topic, partition, position },
          'the topic was created again: taken up from its beginning',
        );
      if (position > end && readFrom >= position) {
        const reason = `${topic}/${partition} ends at offset ${end}, but ${position} has been reached: another topic of that name?`;
        ops.log.error({ event: 'command_position_past_end', topic, partition, position, end }, reason);
        displaced.set(partition, reason);
      } else if (position < start) {
        ops.log.error(
          { event: 'commands_expired', topic, partition, position, start },
          'commands are gone from the log before they were taken up',
        );
      }
    }
    tellDisplaced();
    if (displaced.has(partition)) return false;
    held.add(partition);
    onHeld(partition, readable);
    return true;
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
