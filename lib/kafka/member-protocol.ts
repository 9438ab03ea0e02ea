/** What members of a control group tell each other: kafkajs's encoding of the consumer protocol, JSON as user data. */
import kafkajs from 'kafkajs';
import { type Claimant, planSticky } from './sticky-plan.ts';

const { MemberMetadata, MemberAssignment } = kafkajs.AssignerProtocol;

/** The group protocol's name: members that speak another one are refused by the broker. */
export const protocolName = 'penstock-sticky-copartition';
const version = 1;

/** What a member tells the leader when it joins. */
export interface MemberState {
  address: string;
  /** host:port where its death can be noticed; empty without one. */
  peer: string;
  owned: readonly number[];
  /** The generation in which it got what it owns; -1 before the first. */
  generation: number;
}

/** What the leader gives each member. */
export interface MemberShare {
  generation: number;
  partitions: readonly number[];
  /** address → partitions, of all members. */
  routing: Readonly<Record<string, readonly number[]>>;
  /** Peer ports of all members that have one. */
  peers: readonly string[];
}

export function encodeState(topics: readonly string[], state: MemberState): Buffer {
  return MemberMetadata.encode({ version, topics: [...topics], userData: Buffer.from(JSON.stringify(state)) });
}

/** Never throws: a member whose state cannot be read owns nothing. */
export function decodeState(metadata: Buffer): MemberState {
  try {
    const decoded = MemberMetadata.decode(metadata);
    const state = JSON.parse((decoded?.userData ?? Buffer.alloc(0)).toString('utf8')) as Partial<MemberState>;
    return {
      address: typeof state.address === 'string' ? state.address : '',
      peer: typeof state.peer === 'string' ? state.peer : '',
      owned: numbersOf(state.owned),
      generation: typeof state.generation === 'number' ? state.generation : -1,
    };
  } catch {
    return { address: '', peer: '', owned: [], generation: -1 };
  }
}

/** The leader's work: a share for each member. `partitionCounts`: of each topic. */
export function shareOut(
  members: readonly { memberId: string; memberMetadata: Buffer }[],
  partitionCounts: Readonly<Record<string, number>>,
  generation: number,
): { memberId: string; memberAssignment: Buffer }[] {
  const states = new Map(members.map(({ memberId, memberMetadata }) => [memberId, decodeState(memberMetadata)]));
  const claimants: Claimant[] = [...states].map(([memberId, { owned, generation: of }]) => ({
    memberId,
    owned,
    generation: of,
  }));
  const partitionCount = Object.values(partitionCounts).reduce((most, count) => Math.max(most, count), 0);
  const plan = planSticky(partitionCount, claimants);
  const routing: Record<string, readonly number[]> = {};
  for (const [memberId, partitions] of plan) {
    const address = states.get(memberId)?.address ?? '';
    routing[address] = [...(routing[address] ?? []), ...partitions];
  }
  const peers = [...states.values()].map(({ peer }) => peer).filter(peer => peer !== '');
  return [...plan].map(([memberId, partitions]) => ({
    memberId,
    memberAssignment: MemberAssignment.encode({
      version,
      assignment: Object.fromEntries(
        Object.entries(partitionCounts).map(([topic, count]) => [topic, partitions.filter(one => one < count)]),
      ),
      userData: Buffer.from(JSON.stringify({ generation, partitions, routing, peers } satisfies MemberShare)),
    }),
  }));
}

/** Undefined when the leader gave nothing, or nothing that we can read. */
export function decodeShare(assignment: Buffer): MemberShare | undefined {
  try {
    const decoded = MemberAssignment.decode(assignment);
    if (decoded === null || decoded.userData.length === 0) return undefined;
    const share = JSON.parse(decoded.userData.toString('utf8')) as Partial<MemberShare>;
    const routing: Record<string, readonly number[]> = {};
    for (const [address, partitions] of Object.entries(share.routing ?? {})) routing[address] = numbersOf(partitions);
    const peers = Array.isArray(share.peers) ? share.peers.filter(peer => typeof peer === 'string') : [];
    return { generation: Number(share.generation), partitions: numbersOf(share.partitions), routing, peers };
  } catch {
    return undefined;
  }
}

function numbersOf(value: unknown): number[] {
  return Array.isArray(value) ? value.filter(one => Number.isSafeInteger(one)) : [];
}
