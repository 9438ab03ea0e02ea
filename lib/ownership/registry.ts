/** Who owns what, as Redis has it: one hash a partition, changes on one channel a group. */
import { z } from 'zod';
import type { Logger } from '../ops/index.ts';
import { anotherConnection, closeRedis, openScript, type RedisClient } from '../redis/index.ts';
import type { Owner } from './types.ts';

/** `address` is empty where the last owner has released the partition. */
export type RegisteredOwner = Owner;

export interface Claim {
  partition: number;
  generation: number;
  memberId: string;
  address: string;
  /** Its peer port, host:port; empty without one. */
  peer: string;
  /** Newest epoch of this partition that the claimant knows, 0 for none. */
  knownEpoch: number;
  /** `gain`: just assigned. `keep`: owned all along. `force`: the group has confirmed the claimant against a newer entry. */
  mode: 'gain' | 'keep' | 'force';
}

export type ClaimAnswer =
  /** `predecessor`: the address of another gateway whose name stood there, or empty. */
  { answer: 'OK'; epoch: number; predecessor: string } | { answer: 'STALE'; holder: RegisteredOwner };

/** Every call rejects within about a second when Redis is away. */
export interface OwnerRegistry {
  claim(claim: Claim): Promise<ClaimAnswer>;
  /** Whether the entry was this member's, and is released now. */
  release(partition: number, memberId: string): Promise<boolean>;
  /** All entries that exist, by partition. */
  load(): Promise<Map<number, RegisteredOwner>>;
  /** Each change, as it is published. `listening`: a subscription has (again) begun, load now to see what was missed. */
  watch(changed: (partition: number, owner: RegisteredOwner) => void, listening: () => void): () => void;
}

const claimScript = openScript(new URL('./claim.lua', import.meta.url));
const releaseScript = openScript(new URL('./release.lua', import.meta.url));

const message = z.object({
  partition: z.number().int(),
  epoch: z.number().int(),
  generation: z.number().int(),
  address: z.string(),
  memberId: z.string(),
  peer: z.string().default(''),
});
const claimed = z.tuple([z.literal(1), z.coerce.number().int(), z.string()]);
const stale = z.tuple([z.literal(0), z.coerce.number(), z.coerce.number(), z.string(), z.string(), z.string()]);
const entry = z.tuple([
  z.coerce.number().int(),
  z.coerce.number().int(),
  z.string(),
  z.string(),
  z.string().nullable(),
]);

/** The hash tag keeps a partition's keys in one slot of a cluster. */
export function ownerKey(group: string, partition: number): string {
  return `penstock:{${group}/${partition}}:owner`;
}

export function openOwnerRegistry(
  redis: RedisClient,
  group: string,
  partitionCount: () => number,
  log: Logger,
): OwnerRegistry {
  const channel = `penstock:${group}:owners`;
  return {
    async claim({ partition, generation, memberId, address, peer, knownEpoch, mode }) {
      const keys = [ownerKey(group, partition)];
      const raw = await claimScript.run(redis, keys, [
        generation,
        memberId,
        address,
        knownEpoch,
        mode,
        channel,
        partition,
        peer,
      ]);
      const ok = claimed.safeParse(raw);
      if (ok.success) return { answer: 'OK', epoch: ok.data[1], predecessor: ok.data[2] };
      const [, storedGeneration, epoch, storedAddress, storedMember, storedPeer] = stale.parse(raw);
      const holder = { address: storedAddress, epoch, generation: storedGeneration };
      return { answer: 'STALE', holder: { ...holder, memberId: storedMember, peer: storedPeer } };
    },
    async release(partition, memberId) {
      return (await releaseScript.run(redis, [ownerKey(group, partition)], [memberId, channel, partition])) === 1;
    },
    async load() {
      const partitions = Array.from({ length: partitionCount() }, (_, partition) => partition);
      // Not one pipeline: in a cluster they are spread over its nodes.
      const found = await Promise.all(
        partitions.map(partition =>
          redis.hmget(ownerKey(group, partition), 'epoch', 'generation', 'address', 'memberId', 'peer'),
        ),
      );
      const owners = new Map<number, RegisteredOwner>();
      for (const [partition, values] of found.entries()) {
        const parsed = entry.safeParse(values);
        if (!parsed.success) continue;
        const [epoch, generation, address, memberId, peer] = parsed.data;
        owners.set(partition, { address, epoch, generation, memberId, peer: peer ?? '' });
      }
      return owners;
    },
    watch(changed, listening) {
      const subscriber = anotherConnection(redis);
      subscriber.on('error', error =>
        log.debug({ event: 'owner_channel_failed', error }, 'the subscription to the owners channel failed'),
      );
      subscriber.on('ready', () => {
        subscriber
          .subscribe(channel)
          .then(listening, error =>
            log.debug({ event: 'owner_channel_failed', error }, 'the subscription to the owners channel failed'),
          );
      });
      subscriber.on('message', (_channel, text) => {
        const parsed = message.safeParse(parse(text));
        if (!parsed.success)
          return log.warn({ event: 'owner_message_unreadable' }, 'a message on the owners channel cannot be read');
        const { partition, ...owner } = parsed.data;
        return changed(partition, owner);
      });
      return () => closeRedis(subscriber);
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
