import { limitExceeded } from '../errors.ts';
import { describeAssignment, evictMember, type KafkaConnection } from '../kafka/index.ts';
import type { Ops } from '../ops/index.ts';
import type { RedisClient } from '../redis/index.ts';
import { OwnerMap } from './owner-map.ts';
import { isOther, ownersOf, peersOf, standIn } from './owners.ts';
import { watchPeers } from './peer-watch.ts';
import { openOwnerRegistry } from './registry.ts';
import type { Owner, OwnerTable } from './types.ts';

export interface OwnerTableParts {
  redis: RedisClient;
  /** Asked for the group's assignment while Redis is away, slow, or has holes. */
  connection: KafkaConnection;
  /** Consumer group of the gateways. */
  group: string;
  partitionCount: number;
  /** A gateway that was last heard of so long ago, and does not answer a new connection, cannot be reached, ms. */
  peerSilenceMs: number;
  /**
   * Who is silent to us may be so to the others, too, and be put out by them: so long its successor is waited for, before
   * another gateway stands in, ms; default 1,000.
   */
  successionMs?: number;
  /** Requests that wait for an owner at once; more are refused at once: LIMIT_EXCEEDED. Default 10,000. */
  maxWaiting?: number;
  ops: Pick<Ops, 'log'>;
}

const pollMs = 1_000;
/** Somebody waits: look again, but not more often than this. */
const hurriedPollMs = 50;
/** Redis that takes longer is not waited for: the group is asked beside it. */
const slowMs = 100;

/** Resolves when it has looked once, found something or not. */
export async function openOwnerTable(parts: OwnerTableParts): Promise<OwnerTable> {
  const { redis, connection, group, partitionCount, peerSilenceMs, successionMs = 1_000, maxWaiting = 10_000 } = parts;
  const { log } = parts.ops;
  const registry = openOwnerRegistry(redis, group, () => partitionCount, log);
  const map = new OwnerMap();
  const waiting = new Map<number, Set<() => void>>();
  const deathListeners: ((address: string) => void)[] = [];
  /** Addresses by peer port, of all that are followed. */
  const addressOf = new Map<string, string>();
  /** Peers that have fallen silent, whose clients have nowhere else to go yet. */
  const silent = new Set<string>();
  let waitingCount = 0;
  let lookedAt = 0;
  let redisAskedAt = 0;
  let closed = false;

  const peers = watchPeers({
    silenceMs: peerSilenceMs,
    // Others may be quicker to put it out: then it owns nothing any more, but our clients are still joined to it.
    lingerMs: peerSilenceMs * 2,
    log,
    evict: memberId => evictMember(connection, group, memberId),
    onDead(peer, memberId) {
      map.bury(memberId, Date.now());
      const address = addressOf.get(peer);
      if (address !== undefined) for (const listener of deathListeners) listener(address);
    },
    onSilent(peer) {
      silent.add(peer);
      giveUpSilent();
      setTimeout(() => tell(waiting.keys()), successionMs + 10).unref();
    },
  });
  const stopWatching = registry.watch(
    (partition, owner) => {
      if (map.published(partition, owner)) tell([partition]);
    },
    () => void look(),
  );
  const timer = setInterval(() => void look(), pollMs);
  const lookAtRedis = oneAtATime(async () => {
    redisAskedAt = Date.now();
    map.redisAsked();
    const entries = await registry.load().catch(error => {
      log.debug({ event: 'owners_unread_from_redis', error }, 'owners cannot be read from Redis');
      return undefined;
    });
    redisAskedAt = 0;
    map.redisAnswered(entries);
    changed();
  });
  const lookAtGroup = oneAtATime(async () => {
    try {
      const assignment = ownersOf(await describeAssignment(connection, group));
      map.groupAnswered(assignment, !redisIsSlow());
      changed();
    } catch (error) {
      log.debug({ event: 'owners_unread_from_kafka', error }, 'owners cannot be asked of Kafka');
    }
  });
  await look();

  return {
    partitionCount: () => partitionCount,
    owner: whomToAsk,
    waitForOwner,
    onDead: listener => void deathListeners.push(listener),
    close,
  };

  /** Never rejects. Waits for Redis only as long as it is known to answer. */
  async function look(): Promise<void> {
    lookedAt = Date.now();
    const asked = lookAtRedis();
    if (map.redisAnswers && !redisIsSlow()) {
      await asked;
      if (!map.hasHoles(partitionCount)) return;
    }
    if (!closed) await lookAtGroup();
  }

  function redisIsSlow(): boolean {
    return redisAskedAt > 0 && Date.now() - redisAskedAt > slowMs;
  }

  function changed(): void {
    if (closed) return;
    if (addressOf.size > 10_000) addressOf.clear();
    for (const { peer = '', address } of map.owners.values()) addressOf.set(peer, address);
    peers.follow(peersOf(map.owners.values()));
    giveUpSilent();
    tell(waiting.keys());
  }

  /** The owner; nobody while a dead or silent one may yet have a successor; then who stands in for a silent one. */
  function whomToAsk(partition: number): Owner | undefined {
    const owner = map.owner(partition, Date.now());
    const silentForMs = peers.silentForMs(owner?.peer ?? '');
    if (owner === undefined || silentForMs === undefined) return owner;
    const other = anybodyBut(owner.address, partition);
    // Where nobody can be reached it may be us who are slow.
    if (other === undefined) return owner;
    return silentForMs < successionMs ? undefined : other;
  }

  function anybodyBut(address: string, partition: number): Owner | undefined {
    const nowMs = Date.now();
    return standIn(
      partition,
      map.owners.values(),
      other =>
        other.address !== address &&
        !map.isBuried(other.memberId, nowMs) &&
        peers.silentForMs(other.peer ?? '') === undefined,
    );
  }

  /** What is joined to a silent gateway may go elsewhere, if there is anybody. */
  function giveUpSilent(): void {
    for (const peer of silent) {
      const address = addressOf.get(peer);
      const isSilent = peers.silentForMs(peer) !== undefined;
      if (isSilent && address !== undefined && anybodyBut(address, 0) === undefined) continue;
      silent.delete(peer);
      if (isSilent && address !== undefined) for (const listener of deathListeners) listener(address);
    }
  }

  function tell(partitions: Iterable<number>): void {
    for (const partition of partitions) for (const waiter of waiting.get(partition) ?? []) waiter();
  }

  async function waitForOwner(partition: number, timeoutMs: number, not?: Owner): Promise<Owner | undefined> {
    const acceptable = () => {
      const owner = whomToAsk(partition);
      return owner !== undefined && isOther(owner, not) ? owner : undefined;
    };
    const known = acceptable();
    if (known !== undefined || closed) return known;
    if (waitingCount >= maxWaiting) throw limitExceeded('PENSTOCK_ROUTE_MAX_UNOWNED', 'too many wait for an owner');
    const waiters = waiting.get(partition) ?? new Set();
    waiting.set(partition, waiters);
    waitingCount += 1;
    return new Promise<Owner | undefined>(resolve => {
      const end = () => {
        clearTimeout(deadline);
        clearInterval(hurried);
        waiters.delete(waiter);
        if (waiters.size === 0) waiting.delete(partition);
        waitingCount -= 1;
        resolve(acceptable());
      };
      const waiter = () => {
        if (closed || acceptable() !== undefined) end();
      };
      const lookSoon = () => {
        if (Date.now() - lookedAt >= hurriedPollMs) void look();
      };
      const deadline = setTimeout(end, timeoutMs);
      const hurried = setInterval(lookSoon, hurriedPollMs);
      waiters.add(waiter);
      lookSoon();
    });
  }

  async function close(): Promise<void> {
    if (closed) return;
    closed = true;
    clearInterval(timer);
    stopWatching();
    peers.close();
    tell([...waiting.keys()]);
    await Promise.all([lookAtRedis.underWay(), lookAtGroup.underWay()]);
  }
}

/** Whoever asks while it is under way gets that one. */
function oneAtATime(run: () => Promise<void>): (() => Promise<void>) & { underWay(): Promise<void> | undefined } {
  let underWay: Promise<void> | undefined;
  const begin = () => {
    underWay ??= run().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
  return Object.assign(begin, { underWay: () => underWay });
}
