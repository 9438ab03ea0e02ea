import { type ControlGroup, joinControlGroup, type KafkaConnection } from '../kafka/index.ts';
import type { ControlGroupOptions } from '../kafka/types.ts';
import type { Ops } from '../ops/index.ts';
import { membershipMetrics } from './metrics.ts';
import { openPeerPort } from './peer-port.ts';
import { watchPeers } from './peer-watch.ts';

export interface MembershipOptions extends Omit<ControlGroupOptions, 'peer'> {
  /** host:port of the peer port. */
  peerListen: string;
  /** See PeerWatchParts.silenceMs. */
  peerSilenceMs: number;
  ops: Pick<Ops, 'log' | 'metrics'>;
}

/** A member of a group whose members watch each other. */
export interface Membership extends ControlGroup {
  /** host:port of its peer port. */
  peer: string;
}

/**
 * Joins a control group, and has members that die put out of it at once by those that live, so that the group need not
 * wait for their sessions to end.
 * @throws Error where the peer port cannot be listened on.
 */
export async function joinMembership(connection: KafkaConnection, options: MembershipOptions): Promise<Membership> {
  const { peerListen, peerSilenceMs, ops } = options;
  const port = await openPeerPort({ listen: peerListen, probeIntervalMs: peerSilenceMs / 4 });
  const late: { group?: ControlGroup } = {};
  const watch = watchPeers({
    silenceMs: peerSilenceMs,
    log: ops.log,
    evict: async memberId => late.group?.evict(memberId),
    onGone: () => late.group?.hurry(),
  });
  membershipMetrics(ops.metrics, { peers: watch.watched });
  const group = await joinControlGroup(connection, {
    ...options,
    peer: port.address,
    onAssigned(assignment) {
      port.say(assignment.memberId);
      watch.follow(assignment.peers.filter(peer => peer !== port.address));
      options.onAssigned(assignment);
    },
  });
  late.group = group;
  return {
    ...group,
    peer: port.address,
    async close() {
      watch.close();
      await group.close();
      await port.close();
    },
  };
}
