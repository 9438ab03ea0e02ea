import type { planSticky } from '../../../../lib/kafka/index.ts';

export interface GroupMember {
  memberId: string;
  address: string;
  owned: readonly number[];
  generation: number;
  /** It has sent its JoinGroup for the generation to come. */
  joined: boolean;
}

export interface Share {
  memberId: string;
  generation: number;
  partitions: readonly number[];
}

/** The group's coordinator: who is a member, which generation it is, who was given what. */
export class SimulatedGroup {
  readonly members = new Map<string, GroupMember>();
  readonly #partitionCount: number;
  readonly #plan: typeof planSticky;
  /** Given in this generation, by member; only what the group decided, not what members know. */
  shares = new Map<string, readonly number[]>();
  generation = 0;
  rebalancing = false;
  #count = 0;

  constructor(partitionCount: number, plan: typeof planSticky) {
    this.#partitionCount = partitionCount;
    this.#plan = plan;
  }

  /** JoinGroup. Returns the shares to hand out when it was the last one awaited. */
  join(memberId: string, address: string, claim: { owned: readonly number[]; generation: number }) {
    const known = this.members.has(memberId);
    const id = known ? memberId : `m${this.#count++}`;
    this.rebalancing = true;
    this.members.set(id, { memberId: id, address, ...claim, joined: true });
    return { memberId: id, shares: this.settle() };
  }

  /** LeaveGroup, an eviction, or the end of a session. Returns the shares to hand out when nobody else was awaited. */
  remove(memberId: string): Share[] {
    if (!this.members.delete(memberId)) return [];
    this.rebalancing = true;
    this.shares.delete(memberId);
    return this.settle();
  }

  settle(): Share[] {
    const members = [...this.members.values()];
    if (members.length === 0) {
      this.rebalancing = false;
      this.shares.clear();
    }
    if (members.length === 0 || !this.rebalancing || members.some(({ joined }) => !joined)) return [];
    this.rebalancing = false;
    this.generation += 1;
    const plan = this.#plan(this.#partitionCount, members);
    this.shares = new Map(plan);
    for (const member of members) member.joined = false;
    return [...plan].map(([memberId, partitions]) => ({ memberId, generation: this.generation, partitions }));
  }

  /** Kafka forgets a group that was empty for long. */
  forget(): void {
    if (this.members.size === 0) this.generation = 0;
  }
}
