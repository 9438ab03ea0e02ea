/** What can be asked of, or done to, a group from outside: whoever is no member, or not only. */
import type { Cluster } from './cluster.ts';
import type { KafkaConnection } from './connection.ts';
import { KafkaUnavailableError } from './errors.ts';
import { isProtocolError, type Link } from './link.ts';
import { decodeShare, decodeState } from './member-protocol.ts';
import { inTime } from './pulse.ts';
import type { CommittedOffset, TopicPartition } from './types.ts';
import { codes } from './wire/error-codes.ts';
import { metadataRequest } from './wire/requests.ts';

/** Of links that carry nothing that waits. */
const answerLane = 2;
const asksAtOnce = 3;

/**
 * The first answer of a few brokers: one that stands still keeps nobody waiting.
 * @throws KafkaUnavailableError
 */
async function askAnybody<T>(cluster: Cluster, ask: (link: Link) => Promise<T>): Promise<T> {
  const nodeIds = cluster.nodeIds();
  const from = Math.floor(Math.random() * nodeIds.length);
  const chosen = [...nodeIds.slice(from), ...nodeIds.slice(0, from)].slice(0, asksAtOnce);
  try {
    return await Promise.any(chosen.map(async nodeId => ask(await cluster.link(nodeId, answerLane))));
  } catch {
    return ask(await cluster.anyLink());
  }
}

/**
 * A link of `lane` to the group's coordinator.
 * @throws KafkaUnavailableError; whatever a broker answers
 */
export async function coordinatorOf(cluster: Cluster, groupId: string, lane = 0): Promise<Link> {
  const { coordinator } = await askAnybody(cluster, link =>
    link.call(broker => broker.findGroupCoordinator({ groupId })),
  );
  if (!cluster.nodeIds().includes(coordinator.nodeId)) await cluster.refresh([]);
  try {
    return await cluster.link(coordinator.nodeId, lane);
  } catch (error) {
    // It may have another address by now.
    cluster.refresh([]).catch(() => undefined);
    throw error;
  }
}

/** Whether any broker at all is heard within `timeoutMs`: not by `refresh`, since two may stand still. Never rejects. */
export async function anyBrokerAnswers(cluster: Cluster, timeoutMs: number): Promise<boolean> {
  const asked = askAnybody(cluster, link => link.send(metadataRequest([])));
  return inTime(asked, timeoutMs, 'any broker').then(
    () => true,
    () => false,
  );
}

/** LeaveGroup, over a link of its own: a JoinGroup under way holds the coordinator's. */
export async function leaveGroup(cluster: Cluster, groupId: string, memberId: string): Promise<void> {
  const link = await coordinatorOf(cluster, groupId, 1);
  await link.call(broker => broker.leaveGroup({ groupId, memberId }));
}

/**
 * Sends LeaveGroup for a member that is known to be dead, so that the group need not wait for its session to end. A member
 * that was alive after all joins again. Resolves also when the group did not know it (any more).
 * @throws KafkaUnavailableError
 */
export async function evictMember(connection: KafkaConnection, groupId: string, memberId: string): Promise<void> {
  const cluster = connection.openCluster(`evict ${groupId}`);
  try {
    await evictFrom(cluster, groupId, memberId);
  } finally {
    cluster.close();
  }
}

/** {@link evictMember} over links that are there already. */
export async function evictFrom(cluster: Cluster, groupId: string, memberId: string): Promise<void> {
  try {
    await leaveGroup(cluster, groupId, memberId);
  } catch (error) {
    if (!isProtocolError(error)) throw error;
    if (error.code !== codes.UNKNOWN_MEMBER_ID) throw new KafkaUnavailableError(`evict: ${error.type}`, error);
  }
}

/** Groups places by their topic, as requests about offsets want them. */
export function byTopic<P extends TopicPartition, T>(
  places: readonly P[],
  entryOf: (place: P) => T,
): { topic: string; partitions: T[] }[] {
  const topics = new Map<string, T[]>();
  for (const place of places) {
    const entries = topics.get(place.topic);
    if (entries === undefined) topics.set(place.topic, [entryOf(place)]);
    else entries.push(entryOf(place));
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }));
}

/**
 * Asks a group's coordinator for what was committed for these places; those without a committed offset are left out.
 * @throws KafkaUnavailableError; whatever the broker answers
 */
export async function committedOffsets(
  coordinator: Link,
  groupId: string,
  places: readonly TopicPartition[],
): Promise<CommittedOffset[]> {
  const topics = byTopic(places, ({ partition }) => ({ partition }));
  const { responses } = await coordinator.call(broker => broker.offsetFetch({ groupId, topics }));
  return responses.flatMap(({ topic, partitions }) =>
    partitions
      .filter(({ offset }) => Number(offset) >= 0)
      .map(({ partition, offset, metadata }) => ({
        ...{
          topic,
          partition,
          offset: Number(offset),
          topicId: metadata === null || metadata === '' ? undefined : metadata,
        },
      })),
  );
}

export interface GroupAssignment {
  /** Of the assignment; absent while the group has none. */
  generation?: number;
  members: { memberId: string; address: string; peer: string; partitions: readonly number[] }[];
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
      const { address, peer } = decodeState(memberMetadata);
      return { memberId, address, peer, partitions: share?.partitions ?? [] };
    });
    if (generations.length === 0) return { members };
    return { generation: generations.reduce((most, each) => Math.max(most, each)), members };
  } catch (error) {
    if (!isProtocolError(error)) throw error;
    throw new KafkaUnavailableError(`describe group ${groupId}: ${error.type}`, error);
  } finally {
    cluster.close();
  }
}
