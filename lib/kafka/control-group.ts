import type { Cluster } from './cluster.ts';
import type { KafkaConnection } from './connection.ts';
import { FencedMemberError, KafkaUnavailableError } from './errors.ts';
import { isProtocolError, type Link } from './link.ts';
import { decodeShare, decodeState, encodeState, protocolName, shareOut } from './member-protocol.ts';
import { backOffMs } from './pulse.ts';
import type { ControlGroup, ControlGroupOptions, TopicPartition } from './types.ts';
import { codes } from './wire/error-codes.ts';

/** Codes that say: the group does not know this member, or not with this generation. */
const fencing: readonly number[] = [codes.UNKNOWN_MEMBER_ID, codes.ILLEGAL_GENERATION];

/** Codes that say: ask who the coordinator is. */
const coordinatorMoved: readonly number[] = [
  codes.COORDINATOR_NOT_AVAILABLE,
  codes.NOT_COORDINATOR,
  codes.COORDINATOR_LOAD_IN_PROGRESS,
];

interface Membership {
  memberId: string;
  generation: number;
}

/**
 * Joins a group for membership and assignment only. The group protocol is spoken here, over kafkajs's broker calls:
 * kafkajs's consumer heartbeats only between fetches, stops for seconds when a coordinator dies and ends for good after
 * some errors, while this member holds on to its generation over a change of coordinator and joins again by itself.
 *
 * Resolves at once; the first `onAssigned` says that Kafka has been reached. Nothing of what happens later rejects: what
 * cannot be done now is tried again with a back-off, and logged.
 */
export async function joinControlGroup(
  connection: KafkaConnection,
  options: ControlGroupOptions,
): Promise<ControlGroup> {
  const { groupId, topics, address, sessionTimeoutMs, heartbeatIntervalMs, onAssigned, onLost } = options;
  const log = connection.ops.log.child({ group: groupId });
  const cluster = connection.openCluster(`group ${groupId}`);
  /** What userData claims at the next join: the last assignment, lost or not, so that it may stay where it was. */
  let claim: { owned: readonly number[]; generation: number } = { owned: [], generation: -1 };
  let membership: Membership | undefined;
  /** The id that the group knows us by; survives a lost generation for as long as the group accepts it. */
  let memberId = '';
  let coordinator: Link | undefined;
  let lastContact = Date.now();
  let deadline: NodeJS.Timeout | undefined;
  let wake: (() => void) | undefined;
  let joining: Promise<unknown> | undefined;
  let closing: Promise<void> | undefined;
  const isClosing = () => closing !== undefined;

  const running = run();

  async function run(): Promise<void> {
    let failures = 0;
    while (!isClosing() && !cluster.closed) {
      try {
        await join();
        failures = 0;
        await stay();
      } catch (error) {
        if (isClosing()) return;
        if (isProtocolError(error) && fencing.includes(error.code)) {
          memberId = '';
          lose(`fenced: ${error.type}`);
        } else if (!(isProtocolError(error) && error.code === codes.REBALANCE_IN_PROGRESS)) {
          log.warn({ error }, 'not in the group for now');
        }
        dropCoordinator(error);
        await pause(backOffMs(failures++, 50, 1_000));
      }
    }
    if (!isClosing()) lose('the connection to Kafka was closed');
  }

  async function join(): Promise<void> {
    const link = await findCoordinator();
    if (isClosing()) return;
    watch(sessionTimeoutMs * 2);
    const metadata = encodeState(topics, { address, owned: claim.owned, generation: claim.generation });
    const asking = link.call(broker =>
      broker.joinGroup({
        groupId,
        sessionTimeout: sessionTimeoutMs,
        rebalanceTimeout: sessionTimeoutMs,
        memberId,
        groupProtocols: [{ name: protocolName, metadata }],
      }),
    );
    joining = asking.catch(() => undefined);
    const joined = await asking;
    joining = undefined;
    memberId = joined.memberId;
    if (isClosing()) return;
    const { generationId: generation } = joined;
    const groupAssignment =
      joined.leaderId === memberId ? shareOut(joined.members, await countPartitions(), generation) : [];
    const synced = await link.call(broker =>
      broker.syncGroup({ groupId, generationId: generation, memberId, groupAssignment }),
    );
    const share = decodeShare(synced.memberAssignment);
    if (share === undefined) throw new KafkaUnavailableError('the leader gave no assignment');
    if (isClosing()) return;
    membership = { memberId, generation };
    contact();
    claim = { owned: share.partitions, generation };
    log.info({ generation, memberId, partitions: share.partitions.length }, 'assigned');
    onAssigned({ generation, memberId, partitions: share.partitions, routing: share.routing });
  }

  /** Until the group rebalances (resolves) or this member is not in it any more (rejects). */
  async function stay(): Promise<void> {
    while (!isClosing() && !cluster.closed && membership !== undefined) {
      await pause(heartbeatIntervalMs);
      if (isClosing()) return;
      try {
        await beat(membership);
        contact();
      } catch (error) {
        if (isProtocolError(error)) {
          if (error.code === codes.REBALANCE_IN_PROGRESS) return contact();
          if (!coordinatorMoved.includes(error.code)) throw error;
        }
        // The generation outlives the coordinator: go on with the next one until the session must be over.
        dropCoordinator(error);
      }
    }
  }

  async function beat(current: Membership): Promise<void> {
    const link = await findCoordinator();
    // A coordinator that stands still must be given up while there is time to find the next one.
    const patience = setTimeout(() => link.close(), sessionTimeoutMs / 3);
    try {
      await link.call(broker =>
        broker.heartbeat({ groupId, groupGenerationId: current.generation, memberId: current.memberId }),
      );
    } finally {
      clearTimeout(patience);
    }
  }

  async function findCoordinator(): Promise<Link> {
    if (coordinator?.alive) return coordinator;
    coordinator = await coordinatorOf(cluster, groupId);
    return coordinator;
  }

  function dropCoordinator(error: unknown): void {
    if (!isProtocolError(error) || coordinatorMoved.includes(error.code)) coordinator = undefined;
  }

  async function countPartitions(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    await Promise.all(
      topics.map(async topic => {
        counts[topic] = (await cluster.freshTopic(topic)).partitions.length;
      }),
    );
    return counts;
  }

  function contact(): void {
    lastContact = Date.now();
    watch(sessionTimeoutMs);
  }

  /** The session counts as over when nothing was heard for so long. */
  function watch(ms: number): void {
    clearTimeout(deadline);
    if (membership === undefined || isClosing()) return;
    deadline = setTimeout(() => lose(`no answer from the group for ${Date.now() - lastContact} ms`), ms);
  }

  function lose(reason: string): void {
    clearTimeout(deadline);
    if (membership === undefined) return;
    membership = undefined;
    log.warn({ reason }, 'lost');
    onLost(reason);
    wake?.();
  }

  function pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(done, ms);
      wake = done;
      function done(): void {
        clearTimeout(timer);
        wake = undefined;
        resolve();
      }
    });
  }

  return {
    async heartbeat() {
      const current = membership;
      if (current === undefined) throw new FencedMemberError('this member is not in the group');
      try {
        await beat(current);
      } catch (error) {
        if (!isProtocolError(error)) throw error;
        // A rebalance is under way: the generation holds until the next one is handed out.
        if (error.code === codes.REBALANCE_IN_PROGRESS) return;
        if (fencing.includes(error.code)) {
          wake?.();
          throw new FencedMemberError(`${error.type} in generation ${current.generation}`, error);
        }
        throw new KafkaUnavailableError(`heartbeat: ${error.type}`, error);
      }
    },
    async commit(offsets) {
      const current = membership;
      if (current === undefined) throw new FencedMemberError('this member is not in the group');
      try {
        const link = await findCoordinator();
        await link.call(broker =>
          broker.offsetCommit({
            groupId,
            groupGenerationId: current.generation,
            memberId: current.memberId,
            topics: byTopic(offsets),
          }),
        );
      } catch (error) {
        if (!isProtocolError(error)) throw error;
        if (fencing.includes(error.code)) throw new FencedMemberError(`commit: ${error.type}`, error);
        throw new KafkaUnavailableError(`commit: ${error.type}`, error);
      }
    },
    close() {
      closing ??= (async () => {
        clearTimeout(deadline);
        membership = undefined;
        // Without its answer there is no id to leave with, and the group would wait for a member that never comes.
        if (memberId === '') await joining;
        // A JoinGroup under way holds the coordinator's connection: leave over another one.
        if (memberId !== '')
          await leave(cluster, groupId, memberId).catch(error => log.warn({ error }, 'could not leave'));
        wake?.();
        cluster.close();
        await running;
      })();
      return closing;
    },
  };
}

/** A link of `lane` to the group's coordinator. */
async function coordinatorOf(cluster: Cluster, groupId: string, lane = 0): Promise<Link> {
  const any = await cluster.anyLink();
  const { coordinator } = await any.call(broker => broker.findGroupCoordinator({ groupId }));
  await cluster.refresh([]);
  return cluster.link(coordinator.nodeId, lane);
}

async function leave(cluster: Cluster, groupId: string, memberId: string): Promise<void> {
  const link = await coordinatorOf(cluster, groupId, 1);
  await link.call(broker => broker.leaveGroup({ groupId, memberId }));
}

function byTopic(
  offsets: readonly (TopicPartition & { offset: number })[],
): { topic: string; partitions: { partition: number; offset: string }[] }[] {
  const topics = new Map<string, { partition: number; offset: string }[]>();
  for (const { topic, partition, offset } of offsets) {
    topics.set(topic, [...(topics.get(topic) ?? []), { partition, offset: String(offset) }]);
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }));
}

/**
 * Sends LeaveGroup for a member that is known to be dead, so that the group need not wait for its session to end. A member
 * that was alive after all joins again. Resolves also when the group did not know it (any more).
 * @throws KafkaUnavailableError
 */
export async function evictMember(connection: KafkaConnection, groupId: string, memberId: string): Promise<void> {
  const cluster = connection.openCluster(`evict ${groupId}`);
  try {
    await leave(cluster, groupId, memberId);
  } catch (error) {
    if (!isProtocolError(error)) throw error;
    if (error.code !== codes.UNKNOWN_MEMBER_ID) throw new KafkaUnavailableError(`evict: ${error.type}`, error);
  } finally {
    cluster.close();
  }
}

export interface GroupAssignment {
  /** Of the assignment; absent while the group has none. */
  generation?: number;
  members: { memberId: string; address: string; partitions: readonly number[] }[];
}

/**
 * The group as its coordinator sees it, for routers that lack another source. Undefined when the group does not exist or
 * has no members.
 * @throws KafkaUnavailableError
 */
export async function describeAssignment(
  connection: KafkaConnection,
  groupId: string,
): Promise<GroupAssignment | undefined> {
  const cluster = connection.openCluster(`describe ${groupId}`);
  try {
    const link = await coordinatorOf(cluster, groupId);
    const { groups } = await link.call(broker => broker.describeGroups({ groupIds: [groupId] }));
    const group = groups[0];
    if (group === undefined || group.members.length === 0) return undefined;
    const generations: number[] = [];
    const members = group.members.map(({ memberId, memberMetadata, memberAssignment }) => {
      const share = decodeShare(memberAssignment);
      if (share !== undefined) generations.push(share.generation);
      return { memberId, address: decodeState(memberMetadata).address, partitions: share?.partitions ?? [] };
    });
    return generations.length === 0 ? { members } : { generation: Math.max(...generations), members };
  } catch (error) {
    if (!isProtocolError(error)) throw error;
    throw new KafkaUnavailableError(`describe group ${groupId}: ${error.type}`, error);
  } finally {
    cluster.close();
  }
}
