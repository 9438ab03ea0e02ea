import type { Redis } from 'ioredis';
import { describeAssignment, evictMember, type KafkaConnection } from '../kafka/index.ts';
import type { Ops } from '../ops/index.ts';
import { isOther, mergeOwners, ownersOf, peersOf } from './owners.ts';
import { watchPeers } from './peer-watch.ts';
import { openOwnerRegistry } from './registry.ts';
import type { Owner, OwnerTable } from './types.ts';

export interface OwnerTableParts {
  redis: Redis;
  /** Asked for the group's assignment while Redis is away or has holes. */
  connection: KafkaConnection;
  /** Consumer group of the gateways. */
  group: string;
  partitionCount: number;
  /** Requests that wait for an owner at once; more are told at once that there is none. Default 10,000. */
  maxWaiting?: number;
  ops: Pick<Ops, 'log'>;
}

const pollMs = 1_000;
/** Somebody waits: look again, but not more often than this. */
const hurriedPollMs = 50;

/** Resolves when it has looked once, found something or not. */
export async function openOwnerTable(parts: OwnerTableParts): Promise<OwnerTable> {
  const { redis, connection, group, partitionCount, maxWaiting = 10_000 } = parts;
  const { log } = parts.ops;
  const registry = openOwnerRegistry(redis, group, () => partitionCount, log);
  let owners = new Map<number, Owner>();
  const waiting = new Map<number, Set<() => void>>();
  let waitingCount = 0;
  let looking: Promise<void> | undefined;
  let lookedAt = 0;
  let closed = false;

  const peers = watchPeers({ log, evict: memberId => evictMember(connection, group, memberId) });
  const stopWatching = registry.watch(
    (partition, owner) => {
      const known = owners.get(partition);
      if (known !== undefined && owner.epoch < known.epoch) return;
      if (owner.address === '') owners.delete(partition);
      else owners.set(partition, owner);
      tell([partition]);
    },
    () => void look(),
  );
  const timer = setInterval(() => void look(), pollMs);
  await look();

  return { partitionCount: () => partitionCount, owner: partition => owners.get(partition), waitForOwner, close };

  /** One look at a time; whoever asks meanwhile gets the one that is under way. Never rejects. */
  function look(): Promise<void> {
    looking ??= (async () => {
      lookedAt = Date.now();
      const fromRedis = await registry.load().catch(error => {
        log.debug({ error }, 'owners cannot be read from Redis');
        return undefined;
      });
      const holes = fromRedis === undefined || fromRedis.size < partitionCount;
      const fromGroup = holes && !closed ? await assignment() : undefined;
      owners = mergeOwners(owners, fromRedis, fromGroup);
      if (!closed) peers.follow(peersOf(owners.values()));
      tell(waiting.keys());
    })().finally(() => {
      looking = undefined;
    });
    return looking;
  }

  async function assignment(): Promise<ReadonlyMap<number, Owner> | undefined> {
    try {
      return ownersOf(await describeAssignment(connection, group));
    } catch (error) {
      log.debug({ error }, 'owners cannot be asked of Kafka');
      return undefined;
    }
  }

  function tell(partitions: Iterable<number>): void {
    for (const partition of partitions) for (const waiter of waiting.get(partition) ?? []) waiter();
  }

  async function waitForOwner(partition: number, timeoutMs: number, not?: Owner): Promise<Owner | undefined> {
    const acceptable = () => {
      const owner = owners.get(partition);
      return owner !== undefined && isOther(owner, not) ? owner : undefined;
    };
    const known = acceptable();
    if (known !== undefined || closed || waitingCount >= maxWaiting) return known;
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
      const deadline = setTimeout(end, timeoutMs);
      const hurried = setInterval(() => {
        if (Date.now() - lookedAt >= hurriedPollMs) void look();
      }, hurriedPollMs);
      waiters.add(waiter);
      if (Date.now() - lookedAt >= hurriedPollMs) void look();
    });
  }

  async function close(): Promise<void> {
    if (closed) return;
    closed = true;
    clearInterval(timer);
    stopWatching();
    peers.close();
    tell([...waiting.keys()]);
    await looking;
  }
}
