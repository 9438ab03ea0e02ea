/** A gateway's claims in Redis: written when it gains, checked while it owns, taken back when it is done. */
import { messageOf } from '../errors.ts';
import type { Logger } from '../ops/index.ts';
import type { Clock } from './clock.ts';
import type { TenureKeeper } from './keeper.ts';
import type { OwnershipMetrics } from './metrics.ts';
import type { Claim, OwnerRegistry } from './registry.ts';
import type { Owner } from './types.ts';

export interface Claims {
  /** Writes a claim for a partition that was just assigned; what comes of it is applied to the keeper. */
  gain(partition: number): void;
  release(partition: number): void;
  /** Whether Redis answers: while it does not, nobody waits for it, and {@link reconcile} writes what is missing. */
  redisAnswers(answers: boolean): void;
  /** Another owner's, or nobody's any more: nothing is owed to Redis. */
  drop(partition: number): void;
  /** Writes what Redis lacks of what is owned, as `entries` shows. */
  reconcile(entries: ReadonlyMap<number, Owner>): void;
  /** Owned partitions that are not, or not provably, written. */
  unclaimed(): number;
  /** Resolves when all releases are answered. */
  close(): Promise<void>;
}

export interface ClaimsParts {
  registry: Pick<OwnerRegistry, 'claim' | 'release'>;
  keeper: Pick<TenureKeeper, 'tenure' | 'in' | 'apply'>;
  /** What Redis said last of each partition. */
  known: Map<number, Owner>;
  /** Who this gateway is to the group now. */
  self(): Omit<Owner, 'epoch'> & { peer: string };
  /** Gets ready to serve a partition, before routers are told; bounded by who gives it. Never rejects. */
  prepare(partition: number): Promise<void>;
  clock: Clock;
  /** Whether the group still knows this member; `unknown` when it cannot be asked. */
  confirm(): Promise<'member' | 'zombie' | 'unknown'>;
  /** A partition is claimed whose last owner, another gateway, has not taken its name off: its clients are still there. */
  tookOver(): void;
  metrics: OwnershipMetrics;
  log: Logger;
}

const retryMs = 200;

export function openClaims(parts: ClaimsParts): Claims {
  const { registry, keeper, known, self, prepare, confirm, tookOver, clock, metrics, log } = parts;
  const unclaimed = new Set<number>();
  const underWay = new Set<number>();
  const releasing = new Set<Promise<void>>();
  const gainedAt = new Map<number, number>();
  let closed = false;
  let answering = true;
  return {
    gain(partition) {
      gainedAt.set(partition, clock.nowMs());
      void claim(partition, 'gain');
    },
    redisAnswers(answers) {
      answering = answers;
    },
    release(partition) {
      unclaimed.delete(partition);
      const release = registry.release(partition, self().memberId).then(
        () => undefined,
        error =>
          log.debug(
            { event: 'claim_not_released', error, partition },
            'Redis could not be told of a released partition',
          ),
      );
      releasing.add(release);
      void release.then(() => releasing.delete(release));
    },
    drop: partition => unclaimed.delete(partition),
    reconcile(entries) {
      const { address, memberId } = self();
      for (const partition of keeper.in('owned')) {
        const tenure = keeper.tenure(partition);
        const entry = entries.get(partition);
        const epoch = tenure.state === 'owned' ? tenure.epoch : -1;
        const written = entry?.memberId === memberId && entry.address === address && entry.epoch === epoch;
        if (written) unclaimed.delete(partition);
        else void claim(partition, 'keep');
      }
    },
    unclaimed: () => unclaimed.size,
    async close() {
      closed = true;
      await Promise.all(releasing);
    },
  };

  /** Never rejects. Only one a partition at a time: its answer says what to do next. */
  async function claim(partition: number, firstMode: Claim['mode']): Promise<void> {
    if (underWay.has(partition)) return;
    underWay.add(partition);
    try {
      let mode: Claim['mode'] | undefined = firstMode;
      if (mode === 'gain') await prepare(partition);
      if (mode === 'gain' && !answering) throw new Error('Redis does not answer');
      while (mode !== undefined && !closed && isMine(partition)) mode = await claimOnce(partition, mode);
    } catch (error) {
      answering = false;
      log.warn(
        { event: 'claim_not_written', partition, reason: messageOf(error) },
        'a claim cannot be written: owned by generation alone',
      );
      if (!isMine(partition)) return;
      unclaimed.add(partition);
      if (keeper.tenure(partition).state === 'claiming') settle(partition, self().generation, knownEpoch(partition));
    } finally {
      underWay.delete(partition);
    }
  }

  /** @returns how to try again; undefined when it is settled. */
  async function claimOnce(partition: number, mode: Claim['mode']): Promise<Claim['mode'] | undefined> {
    const me = self();
    const answer = await registry.claim({ ...me, partition, knownEpoch: knownEpoch(partition), mode });
    if (answer.answer === 'OK') {
      known.set(partition, { ...me, epoch: answer.epoch });
      unclaimed.delete(partition);
      if (answer.predecessor !== '') tookOver();
      // Another assignment may have come meanwhile.
      return settle(partition, me.generation, answer.epoch) ? undefined : 'gain';
    }
    metrics.fenced();
    known.set(partition, answer.holder);
    const verdict = await confirm();
    log.warn(
      { event: 'claim_stale', partition, generation: me.generation, holder: answer.holder, verdict },
      'a claim is stale',
    );
    // Another assignment has come meanwhile, and what was asked concerned the one before.
    const now = self();
    if (now.memberId !== me.memberId || now.generation !== me.generation) return 'gain';
    if (verdict === 'member') return 'force';
    if (verdict === 'unknown') {
      await new Promise<void>(resolve => clock.after(retryMs, resolve));
      return mode;
    }
    // The group itself will say so, and to whom our partitions went.
    return undefined;
  }

  /** @returns whether the claim was for the assignment that counts now. */
  function settle(partition: number, generation: number, epoch: number): boolean {
    const tenure = keeper.tenure(partition);
    if (tenure.state === 'claiming' && tenure.generation !== generation) return false;
    if (tenure.state === 'claiming' || (tenure.state === 'owned' && tenure.epoch !== epoch)) {
      keeper.apply(partition, { event: 'claimed', epoch });
    }
    const since = gainedAt.get(partition);
    gainedAt.delete(partition);
    if (since === undefined) return true;
    const atMs = clock.nowMs();
    metrics.handedOff({ partition, epoch, atMs, seconds: (atMs - since) / 1_000 });
    return true;
  }

  function isMine(partition: number): boolean {
    const { state } = keeper.tenure(partition);
    return state === 'claiming' || state === 'owned';
  }

  function knownEpoch(partition: number): number {
    const tenure = keeper.tenure(partition);
    if (tenure.state === 'owned') return tenure.epoch;
    const before = tenure.state === 'claiming' ? (tenure.epoch ?? 0) : 0;
    return Math.max(before, known.get(partition)?.epoch ?? 0);
  }
}
