import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { messageOf } from '../errors.ts';
import { FencedMemberError, joinControlGroup, type KafkaConnection } from '../kafka/index.ts';
import type { Assignment } from '../kafka/types.ts';
import type { Ops, PenstockConfig } from '../ops/index.ts';
import { openTenureKeeper } from './keeper.ts';
import { ownershipMetrics } from './metrics.ts';
import { type Claim, openOwnerRegistry } from './registry.ts';
import type { Owner, Ownership } from './types.ts';

export interface JoinOwnershipParts {
  connection: KafkaConnection;
  redis: Redis;
  config: PenstockConfig<'ownership' | 'kafka'>;
  /** The co-partitioned topics. */
  topics: readonly string[];
  partitionCount: number;
  /** Base URL under which routers reach this gateway. */
  address: string;
  ops: Pick<Ops, 'log' | 'metrics' | 'readiness'>;
}

/** What Redis says is compared with what we own this often: after a FLUSHALL nobody else would write it again. */
const reconcileMs = 1_000;
const retryMs = 200;
/** How long the first claims wait for a Redis that is just being connected to. */
const firstConnectMs = 1_000;

/**
 * Joins the control group and keeps this gateway's partitions claimed. Resolves at once: Kafka and Redis may be absent;
 * the readiness reason `ownership` says so until the first assignment has come.
 *
 * Without Redis the group's generation alone says who owns what: partitions are `owned` under the last epoch known (0 for
 * none), routers ask Kafka, and the claims are written within a second of Redis being back.
 */
export async function joinOwnership(parts: JoinOwnershipParts): Promise<Ownership> {
  const { redis, config, partitionCount, address } = parts;
  const { log, readiness } = parts.ops;
  const registry = openOwnerRegistry(redis, config.ownership.group, () => partitionCount, log);
  /** What Redis said last of each partition. */
  const known = new Map<number, Owner>();
  /** Owned, but not (or not provably) written in Redis. */
  const unclaimed = new Set<number>();
  const claiming = new Set<number>();
  const releasing = new Set<Promise<void>>();
  const assignedAt = new Map<number, number>();
  let member: { memberId: string; generation: number } = { memberId: '', generation: -1 };
  let leaving: Promise<void> | undefined;
  let closed = false;
  let reconciling = false;

  const keeper = openTenureKeeper({
    partitionCount,
    log,
    claim: partition => void claim(partition, 'gain'),
    release: partition => {
      unclaimed.delete(partition);
      const release = registry.release(partition, member.memberId).then(
        () => undefined,
        error => log.debug({ error, partition }, 'not released'),
      );
      releasing.add(release);
      void release.then(() => releasing.delete(release));
    },
  });
  const metrics = ownershipMetrics(parts.ops.metrics, {
    owned: () => keeper.in('owned').length,
    unclaimed: () => unclaimed.size,
  });
  const stopWatching = registry.watch(
    (partition, owner) => known.set(partition, owner),
    () => void reconcile(),
  );
  const timer = setInterval(() => void reconcile(), reconcileMs);
  const redisIsBack = () => void reconcile();
  redis.on('ready', redisIsBack);

  readiness.set('ownership', 'joining the group of gateways');
  await redisConnected();
  const group = await joinControlGroup(parts.connection, {
    groupId: config.ownership.group,
    topics: parts.topics,
    address,
    sessionTimeoutMs: config.kafka.sessionTimeoutMs,
    heartbeatIntervalMs: config.kafka.heartbeatIntervalMs,
    onAssigned,
    onLost,
  });

  return {
    partitionCount,
    tenure: keeper.tenure,
    admits,
    onTransition: keeper.onTransition,
    released(partition) {
      if (keeper.tenure(partition).state === 'handing-over') keeper.apply(partition, { event: 'window-ended' });
    },
    leave,
    close,
  };

  function onAssigned(assignment: Assignment): void {
    if (leaving !== undefined) return;
    metrics.rebalanced();
    readiness.set('ownership', undefined);
    member = { memberId: assignment.memberId, generation: assignment.generation };
    const mine = new Set(assignment.partitions);
    for (let partition = 0; partition < partitionCount; partition += 1) {
      const { state } = keeper.tenure(partition);
      if (mine.has(partition)) {
        if (state !== 'owned') assignedAt.set(partition, performance.now());
        keeper.apply(partition, { event: 'assigned', generation: assignment.generation });
      } else if (state === 'owned' || state === 'claiming') unassign(partition);
    }
  }

  function unassign(partition: number): void {
    unclaimed.delete(partition);
    keeper.apply(partition, { event: 'unassigned', untilMs: Date.now() + config.ownership.handoverWindowMs });
  }

  function onLost(reason: string): void {
    if (leaving !== undefined) return;
    readiness.set('ownership', `not in the group of gateways: ${reason}`);
    for (const state of ['owned', 'claiming', 'handing-over'] as const) {
      for (const partition of keeper.in(state)) {
        unclaimed.delete(partition);
        keeper.apply(partition, { event: 'lost' });
      }
    }
  }

  /** Owned, or handed over to a successor that is not there yet. */
  function admits(partition: number): boolean {
    const tenure = keeper.tenure(partition);
    if (tenure.state === 'owned') return true;
    if (tenure.state !== 'handing-over') return false;
    const entry = known.get(partition);
    return entry === undefined || entry.address === address || entry.epoch <= tenure.epoch;
  }

  /** Writes one claim; never rejects. Only one a partition at a time: the answer says what to do next. */
  async function claim(partition: number, firstMode: Claim['mode']): Promise<void> {
    if (claiming.has(partition)) return;
    claiming.add(partition);
    try {
      let mode = firstMode;
      for (;;) {
        const { state } = keeper.tenure(partition);
        if (closed || (state !== 'claiming' && state !== 'owned')) return;
        const { memberId, generation } = member;
        const knownEpoch = epochOf(partition);
        const answer = await registry.claim({ partition, generation, memberId, address, knownEpoch, mode });
        if (answer.answer === 'OK') {
          const owner: Owner = { address, epoch: answer.epoch, generation, memberId };
          known.set(partition, owner);
          unclaimed.delete(partition);
          if (settle(partition, generation, answer.epoch)) return;
          mode = 'gain'; // another assignment came meanwhile
          continue;
        }
        metrics.fenced();
        known.set(partition, answer.holder);
        const verdict = await confirm();
        log.warn({ partition, generation, holder: answer.holder, verdict }, 'a claim is stale');
        if (verdict === 'zombie') {
          const now = keeper.tenure(partition).state;
          if (now === 'claiming' || now === 'owned') keeper.apply(partition, { event: 'fenced' });
          return;
        }
        if (verdict === 'member') mode = 'force';
        else await sleep(retryMs);
      }
    } catch (error) {
      log.warn({ partition, reason: messageOf(error) }, 'a claim cannot be written: owned by generation alone');
      unclaimed.add(partition);
      if (keeper.tenure(partition).state === 'claiming') settle(partition, member.generation, epochOf(partition));
    } finally {
      claiming.delete(partition);
    }
  }

  /** @returns whether the claim was for the assignment that counts now. */
  function settle(partition: number, generation: number, epoch: number): boolean {
    const tenure = keeper.tenure(partition);
    if (tenure.state === 'claiming' && tenure.generation !== generation) return false;
    if (tenure.state === 'claiming' || (tenure.state === 'owned' && tenure.epoch !== epoch)) {
      keeper.apply(partition, { event: 'claimed', epoch });
    }
    const since = assignedAt.get(partition);
    assignedAt.delete(partition);
    if (since !== undefined) metrics.handedOff((performance.now() - since) / 1_000);
    return true;
  }

  function epochOf(partition: number): number {
    const tenure = keeper.tenure(partition);
    return tenure.state === 'owned' ? tenure.epoch : (known.get(partition)?.epoch ?? 0);
  }

  /** Believes a STALE only if the group does not know this member either. */
  async function confirm(): Promise<'member' | 'zombie' | 'unknown'> {
    try {
      await group.heartbeat();
      return 'member';
    } catch (error) {
      return error instanceof FencedMemberError ? 'zombie' : 'unknown';
    }
  }

  /** Compares what Redis says with what this gateway owns, and writes what is missing or wrong there. */
  async function reconcile(): Promise<void> {
    if (reconciling || closed || redis.status !== 'ready') return;
    reconciling = true;
    try {
      const entries = await registry.load();
      known.clear();
      for (const [partition, owner] of entries) known.set(partition, owner);
      for (const partition of keeper.in('owned')) {
        const entry = entries.get(partition);
        const tenure = keeper.tenure(partition);
        if (tenure.state !== 'owned') continue;
        if (entry?.memberId === member.memberId && entry.address === address && entry.epoch === tenure.epoch) {
          unclaimed.delete(partition);
        } else void claim(partition, 'keep');
      }
    } catch (error) {
      log.debug({ error }, 'owners cannot be compared with Redis');
    } finally {
      reconciling = false;
    }
  }

  async function redisConnected(): Promise<void> {
    if (redis.status === 'ready') return;
    const waiting = new AbortController();
    const ready = () => waiting.abort();
    redis.once('ready', ready);
    await sleep(firstConnectMs, undefined, { signal: waiting.signal }).catch(() => undefined);
    redis.off('ready', ready);
  }

  /** LeaveGroup first, so that successors claim while this gateway still delivers. Resolves when all is handed over. */
  function leave(): Promise<void> {
    leaving ??= (async () => {
      await group.close();
      const handedOver = new Promise<void>(resolve => {
        const look = () => {
          if (keeper.in('handing-over').length === 0) resolve();
        };
        keeper.onTransition(look);
        for (const state of ['owned', 'claiming'] as const)
          for (const partition of keeper.in(state)) unassign(partition);
        look();
      });
      await handedOver;
    })();
    return leaving;
  }

  async function close(): Promise<void> {
    await leave();
    closed = true;
    await Promise.all(releasing);
    clearInterval(timer);
    redis.off('ready', redisIsBack);
    stopWatching();
    keeper.close();
  }
}
