import { type GroupAssignment, partitionOf } from '../kafka/index.ts';
import type { Owner } from './types.ts';

/**
 * Whether `owner` may be who a request is sent to that has just failed at `not`: at another address, of a newer epoch, or
 * another member of the group (the same address after a restart; without Redis there are no epochs to tell it by).
 */
export function isOther(owner: Owner, not: Owner | undefined): boolean {
  if (not === undefined || owner.address !== not.address || owner.memberId !== not.memberId) return true;
  return owner.epoch > not.epoch || (owner.epoch === not.epoch && owner.generation > not.generation);
}

/**
 * The newest of what is known: Redis' word counts; where Redis is away or has nothing, the group's assignment; where
 * neither answers, what was known last.
 */
export function mergeOwners(
  before: ReadonlyMap<number, Owner>,
  redis: ReadonlyMap<number, Owner> | undefined,
  group: ReadonlyMap<number, Owner> | undefined,
): Map<number, Owner> {
  const merged = new Map(before);
  for (const [partition, owner] of group ?? []) {
    // The same member still: keep its epoch, which the group does not know.
    if (redis?.has(partition) !== true && before.get(partition)?.memberId !== owner.memberId) {
      merged.set(partition, owner);
    }
  }
  for (const [partition, owner] of redis ?? []) {
    if (owner.address === '') merged.delete(partition);
    else merged.set(partition, owner);
  }
  return merged;
}

/** The group's assignment as owners; their epoch is 0, since only Redis counts epochs. */
export function ownersOf(assignment: GroupAssignment | undefined): Map<number, Owner> {
  const owners = new Map<number, Owner>();
  for (const { memberId, address, peer, partitions } of assignment?.members ?? []) {
    for (const partition of partitions) {
      owners.set(partition, { address, epoch: 0, generation: assignment?.generation ?? 0, memberId, peer });
    }
  }
  return owners;
}

/**
 * Who serves a partition's clients while its owner cannot be reached: any gateway can, since it is the cursor that counts.
 * The same one for all clients of a partition, at every router, so that it is read once more and not by everybody;
 * another for another partition, so that the load spreads (rendezvous hashing: highest random weight, Thaler and
 * Ravishankar 1998).
 * @param canServe whether this one may be asked.
 */
export function standIn(
  partition: number,
  owners: Iterable<Owner>,
  canServe: (owner: Owner) => boolean,
): Owner | undefined {
  const weightOf = new Map<string, number>();
  let best: Owner | undefined;
  for (const owner of owners) {
    if (weightOf.has(owner.address) || !canServe(owner)) continue;
    const weight = partitionOf(`${partition} ${owner.address}`, mostWeight);
    weightOf.set(owner.address, weight);
    if (best === undefined || weight > (weightOf.get(best.address) ?? 0)) best = owner;
  }
  return best === undefined ? undefined : { ...best, epoch: 0, generation: 0, standsIn: true };
}

const mostWeight = 0x7fff_ffff;

/** Peer ports of owners that are there. */
export function peersOf(owners: Iterable<Owner>): Set<string> {
  const peers = new Set<string>();
  for (const { address, peer = '' } of owners) if (address !== '' && peer !== '') peers.add(peer);
  return peers;
}
