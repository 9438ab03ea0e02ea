import type { Assignment, LossCause } from '../kafka/types.ts';
import type { Logger } from '../ops/index.ts';
import { openClaims } from './claims.ts';
import type { Clock } from './clock.ts';
import { openTenureKeeper, type TenureKeeperParts } from './keeper.ts';
import type { OwnershipMetrics } from './metrics.ts';
import type { OwnerRegistry } from './registry.ts';
import type { Owner, Ownership, Tenure } from './types.ts';

export interface HoldingsParts {
  partitionCount: number;
  /** Base URL under which routers reach this gateway. */
  address: string;
  /** Its peer port. */
  peer(): string;
  handoverWindowMs: number;
  registry: Pick<OwnerRegistry, 'claim' | 'release'>;
  /** Whether the group still knows this member; `unknown` when it cannot be asked. */
  confirm(): Promise<'member' | 'zombie' | 'unknown'>;
  /** Gets ready to serve a partition, before routers are told. Bounded, never rejects. */
  prepare(partition: number): Promise<void>;
  /** A partition is claimed from another gateway, which still has its clients. Before the transition. */
  tookOver(): void;
  clock: Clock;
  metrics: OwnershipMetrics;
  log: Logger;
  /** Default: the one of tenure.ts. */
  transition?: TenureKeeperParts['transition'];
}

/** What a gateway holds, and what becomes of it when the group, Redis or the operator say something. No I/O of its own. */
export interface Holdings extends Pick<Ownership, 'tenure' | 'admits' | 'onTransition' | 'released'> {
  in(state: Tenure['state']): number[];
  unclaimed(): number;
  assigned(assignment: Pick<Assignment, 'generation' | 'memberId' | 'partitions'>): void;
  /**
   * Fenced: others have its partitions by now; this gateway works, and sees its clients off as with any move. Silence: it
   * may be cut off from Kafka, its clients go at once.
   */
  lost(cause: LossCause): void;
  /**
   * The group does not answer, Kafka does. What is owned is kept, but for what somebody else has claimed: the group has
   * given that away, and its clients are seen off.
   */
  doubted(): void;
  /** A change of owner, as Redis publishes it. */
  learned(partition: number, owner: Owner): void;
  /** All that Redis has; undefined: it does not answer. */
  compared(entries: ReadonlyMap<number, Owner> | undefined): void;
  /** Hands everything over. Resolves when the last window has ended; to be called when the group was left. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

export function openHoldings(parts: HoldingsParts): Holdings {
  const { partitionCount, address, handoverWindowMs, clock, metrics, log } = parts;
  /** What Redis said last of each partition. */
  const known = new Map<number, Owner>();
  let member = { memberId: '', generation: -1 };
  const keeper = openTenureKeeper({
    ...(parts.transition === undefined ? {} : { transition: parts.transition }),
    clock,
    log,
    claim: partition => claims.gain(partition),
    release: partition => claims.release(partition),
  });
  const claims = openClaims({
    ...{ registry: parts.registry, keeper, known, confirm: parts.confirm, prepare: parts.prepare },
    ...{ tookOver: parts.tookOver, clock, metrics, log },
    self: () => ({ ...member, address, peer: parts.peer() }),
  });

  return {
    tenure: keeper.tenure,
    in: keeper.in,
    onTransition: keeper.onTransition,
    unclaimed: claims.unclaimed,
    admits(partition) {
      const tenure = keeper.tenure(partition);
      return tenure.state === 'owned' || (tenure.state === 'handing-over' && !tenure.succeeded);
    },
    released(partition) {
      if (keeper.tenure(partition).state === 'handing-over') keeper.apply(partition, { event: 'window-ended' });
    },
    assigned({ memberId, generation, partitions }) {
      member = { memberId, generation };
      const mine = new Set(partitions);
      for (let partition = 0; partition < partitionCount; partition += 1) {
        if (mine.has(partition)) keeper.apply(partition, { event: 'assigned', generation });
        else unassign(partition);
      }
    },
    lost(cause) {
      if (cause === 'fenced') return unassignAll();
      for (const state of ['owned', 'claiming', 'handing-over'] as const) {
        for (const partition of keeper.in(state)) {
          claims.drop(partition);
          keeper.apply(partition, { event: 'lost' });
        }
      }
    },
    doubted() {
      for (const partition of keeper.in('owned')) {
        const tenure = keeper.tenure(partition);
        const successor = successorOf(partition);
        if (tenure.state !== 'owned' || successor === undefined) continue;
        // A claim of before ours may have the higher epoch, where Redis was away when this gateway was given the partition.
        if (successor.generation > tenure.generation) unassign(partition);
      }
    },
    learned(partition, owner) {
      known.set(partition, owner);
      noticeSuccessor(partition);
    },
    compared(entries) {
      claims.redisAnswers(entries !== undefined);
      if (entries === undefined) return;
      known.clear();
      for (const [partition, owner] of entries) known.set(partition, owner);
      claims.reconcile(entries);
      for (const partition of keeper.in('handing-over')) noticeSuccessor(partition);
    },
    leave() {
      return new Promise<void>(resolve => {
        const look = () => {
          if (keeper.in('handing-over').length === 0) resolve();
        };
        keeper.onTransition(look);
        unassignAll();
        look();
      });
    },
    close() {
      keeper.close();
      return claims.close();
    },
  };

  function unassignAll(): void {
    for (const state of ['owned', 'claiming'] as const) keeper.in(state).forEach(unassign);
  }

  function unassign(partition: number): void {
    const { state } = keeper.tenure(partition);
    if (state !== 'owned' && state !== 'claiming') return;
    claims.drop(partition);
    keeper.apply(partition, { event: 'unassigned', untilMs: clock.nowMs() + handoverWindowMs });
    // It may have been quicker than the answer that took the partition from us.
    noticeSuccessor(partition);
  }

  function noticeSuccessor(partition: number): void {
    const tenure = keeper.tenure(partition);
    if (tenure.state !== 'handing-over' || tenure.succeeded) return;
    if (successorOf(partition) !== undefined) keeper.apply(partition, { event: 'succeeded' });
  }

  /** Who has claimed after this gateway, as far as Redis has said. */
  function successorOf(partition: number): Owner | undefined {
    const tenure = keeper.tenure(partition);
    const owner = known.get(partition);
    if (tenure.state !== 'owned' && tenure.state !== 'handing-over') return undefined;
    if (owner === undefined || owner.address === '' || owner.address === address) return undefined;
    return owner.epoch > tenure.epoch ? owner : undefined;
  }
}
