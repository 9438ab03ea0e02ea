import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { evictMember, FencedMemberError, joinControlGroup, type KafkaConnection } from '../kafka/index.ts';
import type { Assignment } from '../kafka/types.ts';
import type { Ops, PenstockConfig } from '../ops/index.ts';
import { type Claims, openClaims } from './claims.ts';
import { openTenureKeeper } from './keeper.ts';
import { ownershipMetrics } from './metrics.ts';
import { peersOf } from './owners.ts';
import { openPeerPort } from './peer-port.ts';
import { watchPeers } from './peer-watch.ts';
import { openOwnerRegistry } from './registry.ts';
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
/** How long the first claims wait for a Redis that is just being connected to. */
const firstConnectMs = 1_000;

/**
 * Joins the control group and keeps this gateway's partitions claimed. Resolves at once: Kafka and Redis may be absent;
 * the readiness reason `ownership` says so until the first assignment has come.
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
  const known = new Map<number, Owner>();
  let member: { memberId: string; generation: number } = { memberId: '', generation: -1 };
  let leaving: Promise<void> | undefined;
  let reconciling = false;

  const peerPort = await openPeerPort(config.ownership.peerListen);
  const keeper = openTenureKeeper({
    log,
    claim: partition => claims.gain(partition),
    release: partition => claims.release(partition),
  });
  const metrics = ownershipMetrics(parts.ops.metrics, {
    owned: () => keeper.in('owned').length,
    unclaimed: () => claims.unclaimed(),
    peers: () => peers.watched(),
  });
  const claims: Claims = openClaims({
    ...{ registry, keeper, known, confirm, metrics, log },
    self: () => ({ ...member, address, peer: peerPort.address }),
  });
  const peers = watchPeers({ log, evict: memberId => evictMember(connection, groupId, memberId) });
  const stopWatching = registry.watch(
    (partition, owner) => known.set(partition, owner),
    () => void reconcile(),
  );
  const timer = setInterval(() => void reconcile(), reconcileMs);
  const redisIsBack = () => void reconcile();
  redis.on('ready', redisIsBack);

  readiness.set('ownership', 'joining the group of gateways');
  await redisConnected(redis);
  const group = await joinControlGroup(connection, {
    groupId,
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
    peerPort.say(member.memberId);
    const mine = new Set(assignment.partitions);
    for (let partition = 0; partition < partitionCount; partition += 1) {
      const { state } = keeper.tenure(partition);
      if (mine.has(partition)) keeper.apply(partition, { event: 'assigned', generation: assignment.generation });
      else if (state === 'owned' || state === 'claiming') unassign(partition);
    }
  }

  function unassign(partition: number): void {
    claims.drop(partition);
    keeper.apply(partition, { event: 'unassigned', untilMs: Date.now() + handoverWindowMs });
  }

  function onLost(reason: string): void {
    if (leaving !== undefined) return;
    readiness.set('ownership', `not in the group of gateways: ${reason}`);
    for (const state of ['owned', 'claiming', 'handing-over'] as const) {
      for (const partition of keeper.in(state)) {
        claims.drop(partition);
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

  /** Believes a STALE only if the group does not know this member either. */
  async function confirm(): Promise<'member' | 'zombie' | 'unknown'> {
    try {
      await group.heartbeat();
      return 'member';
    } catch (error) {
      return error instanceof FencedMemberError ? 'zombie' : 'unknown';
    }
  }

  /** Compares what Redis says with what this gateway owns, and follows the peers that it names. */
  async function reconcile(): Promise<void> {
    if (reconciling || redis.status !== 'ready') return;
    reconciling = true;
    try {
      const entries = await registry.load();
      known.clear();
      for (const [partition, owner] of entries) known.set(partition, owner);
      claims.reconcile(entries);
      if (leaving === undefined) peers.follow(peersOf(entries.values(), peerPort.address));
    } catch (error) {
      log.debug({ error }, 'owners cannot be compared with Redis');
    } finally {
      reconciling = false;
    }
  }

  /** LeaveGroup first, so that successors claim while this gateway still delivers. Resolves when all is handed over. */
  function leave(): Promise<void> {
    leaving ??= (async () => {
      peers.close();
      await group.close();
      await peerPort.close();
      const handedOver = new Promise<void>(resolve => {
        const look = () => {
          if (keeper.in('handing-over').length === 0) resolve();
        };
        keeper.onTransition(look);
        for (const state of ['owned', 'claiming'] as const) keeper.in(state).forEach(unassign);
        look();
      });
      await handedOver;
    })();
    return leaving;
  }

  async function close(): Promise<void> {
    await leave();
    clearInterval(timer);
    redis.off('ready', redisIsBack);
    stopWatching();
    keeper.close();
    await claims.close();
  }
}

async function redisConnected(redis: Redis): Promise<void> {
  if (redis.status === 'ready') return;
  const waiting = new AbortController();
  const ready = () => waiting.abort();
  redis.once('ready', ready);
  await sleep(firstConnectMs, undefined, { signal: waiting.signal }).catch(() => undefined);
  redis.off('ready', ready);
}
