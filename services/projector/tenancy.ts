import { messageOf } from '../../lib/errors.ts';
import {
  type Assignment,
  type ControlGroup,
  FencedMemberError,
  type KafkaConnection,
  type TopicPartition,
} from '../../lib/kafka/index.ts';
import type { Closable, Ops, PenstockConfig } from '../../lib/ops/index.ts';
import { joinMembership } from '../../lib/ownership/index.ts';
import type { Feeds } from './feeds.ts';
import { type ClaimedPosition, claimPositions, leaderEpochColumn, liveScope } from './positions.ts';
import { retrying } from './split.ts';
import type { Store } from './store.ts';

/** Which partitions this process feeds the tables from, as the group says; each is claimed in PostgreSQL before. */
export interface Tenancy extends Closable {
  /** Positions that were found elsewhere than we left them. Believed only if the group says so, too. */
  onStale(at: readonly TopicPartition[]): void;
  /** A partition that can't be read where its position was: is it still there? */
  onLost(at: TopicPartition): void;
  /** The reader has found another topic under its name. */
  onRecreated(at: TopicPartition): void;
  /** For lag displays; failures don't matter. */
  commit(): Promise<void>;
}

export interface TenancyOptions {
  connection: KafkaConnection;
  config: PenstockConfig<'kafka' | 'ownership' | 'projector'>;
  topics: readonly string[];
  /** The id of the topic that has the name now; undefined when there is none. */
  identify(topic: string): Promise<string | undefined>;
  feeds: Feeds;
  store: Pick<Store, 'transaction'>;
  ops: Pick<Ops, 'log' | 'metrics' | 'readiness'>;
}

const retryMs = 300;
/** How long a position in a topic that is gone is left alone, ms. */
const refusedMs = 2_000;

export async function openTenancy(options: TenancyOptions): Promise<Tenancy> {
  const { connection, config, topics, identify, feeds, store, ops } = options;
  let assignment: Assignment | undefined;
  let group: ControlGroup | undefined;
  let closed = false;
  let wake: (() => void) | undefined;
  /** Claims happen one after the other, so that an older one never fences a newer one. */
  let claims: Promise<void> = Promise.resolve();
  ops.readiness.set('group', 'not in the consumer group yet');

  function onAssigned(assigned: Assignment): void {
    assignment = assigned;
    ops.readiness.set('group', undefined);
    feeds.keepOnly(new Set(assigned.partitions));
    const all = assigned.partitions.flatMap(partition => topics.map(topic => ({ topic, partition })));
    enqueue(
      all.filter(at => !feeds.has(at)),
      assigned,
      false,
    );
  }

  function onLost(reason: string): void {
    assignment = undefined;
    ops.readiness.set('group', `not in the consumer group: ${reason}`);
    feeds.closeAll();
  }

  function enqueue(at: readonly TopicPartition[], under: Assignment, mustProve: boolean): void {
    if (at.length > 0) claims = claims.then(() => claim(at, under, mustProve));
  }

  /** Tries until it is done, or the assignment is not the one any more under which it began. */
  async function claim(at: readonly TopicPartition[], under: Assignment, mustProve: boolean): Promise<void> {
    let isProven = false;
    let isStale = mustProve;
    while (!closed && assignment === under) {
      try {
        if (isStale) {
          await group?.heartbeat();
          isProven = true;
        }
        const ids = await idsOf(at);
        const result = await retrying(() =>
          store.transaction(queries => claimPositions(queries, at, ids, under.generation, isProven)),
        );
        if (result.kind === 'claimed') {
          if (assignment !== under || closed) return;
          begin(result.positions, ids, under);
          ops.log.info(
            { event: 'view_partitions_claimed', generation: under.generation, positions: result.positions.length },
            'partitions are claimed',
          );
          return;
        }
        isStale = true;
      } catch (error) {
        if (error instanceof FencedMemberError) {
          ops.log.warn({ event: 'projector_fenced', reason: messageOf(error) }, 'fenced: waiting for the group');
          return;
        }
        ops.log.warn({ event: 'view_claim_failed', reason: messageOf(error) }, 'partitions could not be claimed yet');
      }
      await new Promise<void>(resolve => {
        wake = resolve;
        setTimeout(resolve, retryMs).unref();
      });
    }
  }

  /** Should a topic change after this, what is read by its old id is nothing. */
  async function idsOf(at: readonly TopicPartition[]): Promise<ReadonlyMap<string, string>> {
    const ids = new Map<string, string>();
    for (const topic of new Set(at.map(each => each.topic))) {
      const id = await identify(topic);
      if (id === undefined) throw new Error(`topic ${topic} does not exist`);
      ids.set(topic, id);
    }
    return ids;
  }

  /** A position in a topic that was created again says nothing of the new one: a rebuild puts it right (ADR 3). */
  function begin(positions: readonly ClaimedPosition[], ids: ReadonlyMap<string, string>, under: Assignment): void {
    const refused: TopicPartition[] = [];
    for (const claimed of positions) {
      const { topic, partition, topicId } = claimed;
      if (ids.get(topic) === topicId) feeds.open(claimed);
      else {
        feeds.refuse(claimed, `${topic}/${partition} was created again: rebuild its tables`);
        refused.push({ topic, partition });
      }
    }
    setTimeout(() => {
      if (assignment === under && !closed) enqueue(refused, under, false);
    }, refusedMs).unref();
  }

  function onStale(at: readonly TopicPartition[]): void {
    for (const each of at) feeds.close(each);
    if (assignment) enqueue(at, assignment, true);
  }

  async function isMoved({ topic, partition }: TopicPartition): Promise<boolean> {
    const [held] = await store.transaction(queries =>
      queries.query<{ next: number; leaderEpoch: number | null }>(
        `SELECT next, ${leaderEpochColumn} FROM penstock.view_positions WHERE scope = $1 AND topic = $2 AND partition = $3`,
        [liveScope, topic, partition],
      ),
    );
    const feed = feeds.all().find(({ at }) => at.topic === topic && at.partition === partition);
    if (held === undefined || feed === undefined || feed.hasWork) return false;
    // A rebuild of a truncated log may put the position where it was, in another history.
    return held.next !== feed.next || (held.leaderEpoch ?? undefined) !== feed.lastEpoch;
  }

  group = await joinMembership(connection, {
    groupId: config.projector.group,
    topics,
    address: '',
    sessionTimeoutMs: config.kafka.sessionTimeoutMs,
    heartbeatIntervalMs: config.kafka.heartbeatIntervalMs,
    peerListen: config.ownership.peerListen,
    peerSilenceMs: config.ownership.peerSilenceMs,
    ops,
    onAssigned,
    onLost,
  });

  return {
    onStale,
    onLost(at) {
      void isMoved(at).then(
        moved => moved && onStale([at]),
        () => undefined,
      );
    },
    onRecreated(at) {
      feeds.close(at);
      if (assignment) enqueue([at], assignment, false);
    },
    async commit() {
      const offsets = feeds.all().map(({ at, next }) => ({ ...at, offset: next }));
      if (offsets.length > 0) await group?.commit(offsets).catch(() => undefined);
    },
    async close() {
      if (closed) return;
      closed = true;
      wake?.();
      feeds.closeAll();
      await claims;
      await group?.close();
    },
  };
}
