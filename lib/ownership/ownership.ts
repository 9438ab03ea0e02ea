import { setTimeout as sleep } from 'node:timers/promises';
import { FencedMemberError, type KafkaConnection } from '../kafka/index.ts';
import type { Ops, PenstockConfig } from '../ops/index.ts';
import type { RedisClient } from '../redis/index.ts';
import { openArrival } from './arrival.ts';
import { systemClock } from './clock.ts';
import { type Holdings, openHoldings } from './holdings.ts';
import { joinMembership, type Membership } from './membership.ts';
import { ownershipMetrics } from './metrics.ts';
import { openOwnerRegistry } from './registry.ts';
import type { Ownership } from './types.ts';

export interface JoinOwnershipParts {
  connection: KafkaConnection;
  redis: RedisClient;
  config: PenstockConfig<'ownership' | 'kafka'>;
  /** The co-partitioned topics. */
  topics: readonly string[];
  partitionCount: number;
  /** Base URL under which routers reach this gateway. */
  address: string;
  /**
   * Gets ready to serve a partition; asked when it is assigned, and its claim waits for it (bounded): routers send
   * clients only to who is warm.
   */
  warm?(partition: number): Promise<void>;
  ops: Pick<Ops, 'log' | 'metrics' | 'readiness'>;
}

/** What Redis says is compared with what we own this often: after a FLUSHALL nobody else would write it again. */
const reconcileMs = 1_000;
/** How long the first claims wait for a Redis that is just being connected to. */
const firstConnectMs = 1_000;
/** A claim waits no longer than this for its partition to be warm: clients that come then wait there. */
const warmMs = 250;

/**
 * Joins the control group and keeps this gateway's partitions claimed. Resolves at once: Kafka and Redis may be absent;
 * the readiness reason `ownership` says so until the first assignment has come and what it gave is taken over.
 *
 * Without Redis the group's generation alone says who owns what: partitions are `owned` under the last epoch known (0 for
 * none), routers ask Kafka, and the claims are written within a second of Redis being back.
 *
 * @throws Error where the peer port cannot be listened on.
 */
export async function joinOwnership(parts: JoinOwnershipParts): Promise<Ownership> {
  const { connection, redis, config, partitionCount, address } = parts;
  const { log, readiness } = parts.ops;
  const { group: groupId, handoverWindowMs } = config.ownership;
  const registry = openOwnerRegistry(redis, groupId, () => partitionCount, log);
  const late: { membership?: Membership } = {};
  let leaving: Promise<void> | undefined;
  let reconciling = false;

  const current = { owned: () => holdings.in('owned').length, unclaimed: () => holdings.unclaimed() };
  const metrics = ownershipMetrics(parts.ops.metrics, current, partitionCount);
  const holdings: Holdings = openHoldings({
    ...{ partitionCount, address, handoverWindowMs, registry, confirm, prepare, metrics, log },
    tookOver: () => arrival.tookOver(),
    peer: () => late.membership?.peer ?? '',
    clock: systemClock,
  });
  const arrival = openArrival({
    isClaiming: () => holdings.in('claiming').length > 0,
    windowMs: handoverWindowMs,
    clock: systemClock,
    tell: reason => readiness.set('ownership', reason),
  });
  holdings.onTransition(arrival.look);
  const stopWatching = registry.watch(holdings.learned, () => void reconcile());
  const timer = setInterval(() => void reconcile(), reconcileMs);
  const redisIsBack = () => void reconcile();
  redis.on('ready', redisIsBack);

  readiness.set('ownership', 'joining the group of gateways');
  await redisConnected(redis);
  const membership = await joinMembership(connection, {
    groupId,
    topics: parts.topics,
    address,
    sessionTimeoutMs: config.kafka.sessionTimeoutMs,
    heartbeatIntervalMs: config.kafka.heartbeatIntervalMs,
    peerListen: config.ownership.peerListen,
    peerSilenceMs: config.ownership.peerSilenceMs,
    ops: parts.ops,
    onAssigned(assignment) {
      if (leaving !== undefined) return;
      metrics.rebalanced();
      holdings.assigned(assignment);
      arrival.assigned();
    },
    onLost(reason, cause) {
      if (leaving !== undefined) return;
      readiness.set('ownership', `not in the group of gateways: ${reason}`);
      arrival.left();
      holdings.lost(cause);
    },
    onDoubt() {
      if (leaving === undefined) holdings.doubted();
    },
    onConfirmed(assignment) {
      if (leaving === undefined) holdings.assigned(assignment);
    },
  });
  late.membership = membership;

  return {
    partitionCount,
    tenure: holdings.tenure,
    admits: holdings.admits,
    onTransition: holdings.onTransition,
    released: holdings.released,
    handoffs: metrics.handoffs,
    verify,
    leave,
    close,
  };

  async function prepare(partition: number): Promise<void> {
    const warming = parts
      .warm?.(partition)
      .catch(error =>
        log.debug(
          { event: 'partition_not_warm', error, partition },
          'a partition is claimed before its live streams are ready',
        ),
      );
    const patience = new AbortController();
    await Promise.race([warming, sleep(warmMs, undefined, { signal: patience.signal }).catch(() => undefined)]);
    patience.abort();
  }

  /** Believes a STALE only if the group does not know this member either. */
  async function confirm(): Promise<'member' | 'zombie' | 'unknown'> {
    try {
      await membership.heartbeat();
      return 'member';
    } catch (error) {
      return error instanceof FencedMemberError ? 'zombie' : 'unknown';
    }
  }

  async function verify(partition: number): Promise<'member' | 'zombie' | 'unknown'> {
    const isOwned = () => holdings.tenure(partition).state === 'owned';
    if (!isOwned()) return 'zombie';
    const verdict = await confirm();
    return isOwned() ? verdict : 'zombie';
  }

  /** Compares what Redis says with what this gateway owns. */
  async function reconcile(): Promise<void> {
    if (reconciling || redis.status !== 'ready') return;
    reconciling = true;
    try {
      holdings.compared(await registry.load());
    } catch (error) {
      log.debug({ event: 'owners_not_compared', error }, 'owners cannot be compared with Redis');
      holdings.compared(undefined);
    } finally {
      reconciling = false;
    }
  }

  /** LeaveGroup first, so that successors claim while this gateway still delivers. Resolves when all is handed over. */
  function leave(): Promise<void> {
    leaving ??= membership.close().then(holdings.leave);
    return leaving;
  }

  async function close(): Promise<void> {
    await leave();
    clearInterval(timer);
    arrival.close();
    redis.off('ready', redisIsBack);
    stopWatching();
    await holdings.close();
  }
}

async function redisConnected(redis: RedisClient): Promise<void> {
  if (redis.status === 'ready') return;
  const waiting = new AbortController();
  const ready = () => waiting.abort();
  redis.once('ready', ready);
  await sleep(firstConnectMs, undefined, { signal: waiting.signal }).catch(() => undefined);
  redis.off('ready', ready);
}
