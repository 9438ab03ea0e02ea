import { mergeOwners } from './owners.ts';
import type { Owner } from './types.ts';

/** As long as a session without evidence lasts. */
const buriedMs = 6_000;

/** What a router believes of who owns what, put together from three sources that may be late, silent, or wrong. No I/O. */
export class OwnerMap {
  #owners = new Map<number, Owner>();
  /** What Redis had last; undefined while it does not answer. */
  #fromRedis: Map<number, Owner> | undefined = new Map();
  /** Members that are taken for dead, and until when they are not asked, ms since the epoch. */
  readonly #buried = new Map<string, number>();
  /** Published since Redis was asked: newer than what it will answer. */
  readonly #news = new Map<number, Owner>();

  get owners(): ReadonlyMap<number, Owner> {
    return this.#owners;
  }

  /** Who owns it, unless that one has just died: then nobody does until the next one is known. */
  owner(partition: number, nowMs: number): Owner | undefined {
    const owner = this.#owners.get(partition);
    return owner !== undefined && this.isBuried(owner.memberId, nowMs) ? undefined : owner;
  }

  isBuried(memberId: string, nowMs: number): boolean {
    return nowMs < (this.#buried.get(memberId) ?? 0);
  }

  /** What is believed of a dead member counts no more; for a while, since it may have been a mistake. */
  bury(memberId: string, nowMs: number): void {
    for (const [other, untilMs] of this.#buried) if (untilMs < nowMs) this.#buried.delete(other);
    this.#buried.set(memberId, nowMs + buriedMs);
  }

  /** Whether Redis answered when it was asked last. */
  get redisAnswers(): boolean {
    return this.#fromRedis !== undefined;
  }

  /** Whether Redis has fewer entries than there are partitions, or does not answer. */
  hasHoles(partitionCount: number): boolean {
    return this.#fromRedis === undefined || this.#fromRedis.size < partitionCount;
  }

  /** @returns false where it was older than what is known. */
  published(partition: number, owner: Owner): boolean {
    const known = this.#owners.get(partition);
    if (known !== undefined && owner.epoch < known.epoch) return false;
    this.#news.set(partition, owner);
    if (owner.address === '') this.#owners.delete(partition);
    else this.#owners.set(partition, owner);
    return true;
  }

  redisAsked(): void {
    this.#news.clear();
  }

  /** Undefined: it did not. */
  redisAnswered(entries: ReadonlyMap<number, Owner> | undefined): void {
    this.#fromRedis = entries === undefined ? undefined : new Map([...entries, ...this.#news]);
    this.#owners = mergeOwners(this.#owners, this.#fromRedis, undefined);
  }

  /** @param redisCounts whether what Redis said goes before it. */
  groupAnswered(assignment: ReadonlyMap<number, Owner>, redisCounts: boolean): void {
    this.#owners = mergeOwners(this.#owners, redisCounts ? this.#fromRedis : undefined, assignment);
  }
}
