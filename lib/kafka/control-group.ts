import type { KafkaConnection } from './connection.ts';
import { FencedMemberError, KafkaUnavailableError, UnknownTopicError } from './errors.ts';
import { anyBrokerAnswers, byTopic, committedOffsets, coordinatorOf, evictFrom, leaveGroup } from './group-admin.ts';
import { isProtocolError, type Link } from './link.ts';
import { decodeShare, encodeState, protocolName, shareOut } from './member-protocol.ts';
import { backOffMs, inTime } from './pulse.ts';
import type { Assignment, ControlGroup, ControlGroupOptions, LossCause } from './types.ts';
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
  const { groupId, topics, address, peer = '', sessionTimeoutMs, heartbeatIntervalMs } = options;
  const { onAssigned, onLost, onDoubt, onConfirmed, onContact } = options;
  const log = connection.ops.log.child({ group: groupId });
  const cluster = connection.openCluster(`group ${groupId}`);
  /** What userData claims at the next join: the last assignment, lost or not, so that it may stay where it was. */
  let claim: { owned: readonly number[]; generation: number } = { owned: [], generation: -1 };
  let membership: Membership | undefined;
  let assignment: Assignment | undefined;
  let doubted = false;
  /** The id that the group knows us by; survives a lost generation for as long as the group accepts it. */
  let memberId = '';
  let coordinator: Link | undefined;
  let lastContact = Date.now();
  let deadline: NodeJS.Timeout | undefined;
  let wake: (() => void) | undefined;
  /** Somebody knows of a change: the next pause does not wait. */
  let hurried = false;
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
        if (isProtocolError(error) && error.code === codes.REBALANCE_IN_PROGRESS) continue;
        if (isProtocolError(error) && fencing.includes(error.code)) {
          memberId = '';
          lose(`fenced: ${error.type}`, 'fenced');
        } else log.warn({ event: 'group_join_failed', error }, 'not in the group for now');
        dropCoordinator(error);
        await pause(backOffMs(failures++, 50, 1_000));
      }
    }
    if (!isClosing()) lose('the connection to Kafka was closed', 'silence');
  }

  async function join(): Promise<void> {
    const link = await findCoordinator();
    if (isClosing()) return;
    watch(sessionTimeoutMs * 2);
    const metadata = encodeState(topics, { address, peer, owned: claim.owned, generation: claim.generation });
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
    const sentMs = performance.now();
    const synced = await link.call(broker =>
      broker.syncGroup({ groupId, generationId: generation, memberId, groupAssignment }),
    );
    const share = decodeShare(synced.memberAssignment);
    if (share === undefined) throw new KafkaUnavailableError('the leader gave no assignment');
    if (isClosing()) return;
    membership = { memberId, generation };
    contact(sentMs);
    claim = { owned: share.partitions, generation };
    log.info(
      { event: 'group_assigned', generation, memberId, partitions: share.partitions.length },
      'the group has assigned partitions',
    );
    const { partitions, routing, peers } = share;
    assignment = { generation, memberId, partitions, routing, peers };
    doubted = false;
    onAssigned(assignment);
  }

  /** Until the group rebalances (resolves) or this member is not in it any more (rejects). */
  async function stay(): Promise<void> {
    while (!isClosing() && !cluster.closed && membership !== undefined) {
      await pause(heartbeatIntervalMs);
      if (isClosing()) return;
      const sentMs = performance.now();
      try {
        await beat(membership);
        contact(sentMs);
        confirmed();
      } catch (error) {
        if (isProtocolError(error)) {
          if (error.code === codes.REBALANCE_IN_PROGRESS) return contact(sentMs);
          if (!coordinatorMoved.includes(error.code)) throw error;
        }
        // The generation outlives the coordinator: go on with the next one until the session must be over.
        dropCoordinator(error);
      }
    }
  }

  async function beat(current: Membership): Promise<void> {
    // A coordinator that stands still must be given up while there is time to find the next one.
    const link = await inTime(findCoordinator(), sessionTimeoutMs / 3, 'the coordinator');
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
        counts[topic] = await cluster.freshTopic(topic).then(
          ({ partitions }) => partitions.length,
          (error: unknown) => {
            // One that is gone must not keep the others' partitions from having owners.
            if (error instanceof UnknownTopicError) return 0;
            throw error;
          },
        );
      }),
    );
    const [topic = ''] = topics;
    if (Object.values(counts).every(count => count === 0)) throw new UnknownTopicError(topic);
    return counts;
  }

  function contact(sentMs: number): void {
    lastContact = Date.now();
    onContact?.(sentMs);
    watch(sessionTimeoutMs);
  }

  /** The session counts as over when nothing was heard for so long. */
  function watch(ms: number): void {
    clearTimeout(deadline);
    if (membership === undefined || isClosing()) return;
    deadline = setTimeout(() => void silent(), ms);
  }

  /** Never rejects. */
  async function silent(): Promise<void> {
    const before = lastContact;
    const heard = onDoubt !== undefined && (await anyBrokerAnswers(cluster, sessionTimeoutMs / 3));
    if (membership === undefined || isClosing() || lastContact !== before) return;
    const reason = `no answer from the group for ${Date.now() - lastContact} ms`;
    if (!heard) return lose(reason, 'silence');
    log.warn({ event: 'group_membership_doubted', reason }, 'in doubt: the group does not answer, other brokers do');
    doubted = true;
    onDoubt?.(reason);
    watch(sessionTimeoutMs / 2);
  }

  function confirmed(): void {
    if (!doubted || assignment === undefined) return;
    doubted = false;
    onConfirmed?.(assignment);
  }

  function lose(reason: string, how: LossCause): void {
    clearTimeout(deadline);
    if (membership === undefined) return;
    membership = undefined;
    log.warn({ event: 'group_membership_lost', reason }, 'this process has lost its partitions');
    onLost(reason, how);
    wake?.();
  }

  /** A group that does not answer finds out by itself. */
  async function leaveInTime(leaver: string): Promise<void> {
    const impatience = setTimeout(() => cluster.close(), sessionTimeoutMs / 3);
    await leaveGroup(cluster, groupId, leaver).finally(() => clearTimeout(impatience));
  }

  function pause(ms: number): Promise<void> {
    if (hurried) {
      hurried = false;
      return Promise.resolve();
    }
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
            topics: byTopic(offsets, ({ partition, offset, topicId: metadata = '' }) => ({
              partition,
              offset: String(offset),
              metadata,
            })),
          }),
        );
      } catch (error) {
        if (!isProtocolError(error)) throw error;
        if (fencing.includes(error.code)) throw new FencedMemberError(`commit: ${error.type}`, error);
        throw new KafkaUnavailableError(`commit: ${error.type}`, error);
      }
    },
    async committed(places) {
      const patienceMs = sessionTimeoutMs / 3;
      return inTime(
        committedOffsets(await findCoordinator(), groupId, places),
        patienceMs,
        'the committed offsets',
      ).catch((error: unknown) => {
        dropCoordinator(error);
        throw isProtocolError(error) ? new KafkaUnavailableError(`offset fetch: ${error.type}`, error) : error;
      });
    },
    hurry() {
      if (wake === undefined) hurried = true;
      else wake();
    },
    evict: dead => evictFrom(cluster, groupId, dead),
    close() {
      closing ??= (async () => {
        clearTimeout(deadline);
        membership = undefined;
        // Without its answer there is no id to leave with, and the group would wait for a member that never comes.
        if (memberId === '') await joining;
        // A JoinGroup under way holds the coordinator's connection: leave over another one.
        if (memberId !== '')
          await leaveInTime(memberId).catch(error =>
            log.warn({ event: 'group_leave_failed', error }, 'the group could not be left'),
          );
        wake?.();
        cluster.close();
        await running;
      })();
      return closing;
    },
  };
}
