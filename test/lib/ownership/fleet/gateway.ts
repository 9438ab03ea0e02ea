import { openHoldings } from '../../../../lib/ownership/holdings.ts';
import type { transition } from '../../../../lib/ownership/tenure.ts';
import type { Owner } from '../../../../lib/ownership/types.ts';
import { type Client, openClients } from '../../../../services/gateway/clients.ts';
import { followOwnership } from '../../../../services/gateway/handover.ts';
import { quietOps } from '../../../support/quiet-ops.ts';
import type { Share } from './group.ts';
import type { World } from './world.ts';

const { log } = quietOps();
const metrics = { rebalanced() {}, fenced() {}, handedOff() {}, handoffs: () => [] };
export const handoverWindowMs = 1_000;

/** A gateway's process: its real holdings, clients and handover, between a simulated group and a simulated Redis. */
export class SimulatedGateway {
  readonly name: string;
  readonly address: string;
  readonly #world: World;
  readonly holdings;
  readonly clients;
  /** As the group told it last. */
  member: Share | undefined;
  /** What it claims when it joins again. */
  #claim: { owned: readonly number[]; generation: number } = { owned: [], generation: -1 };
  #memberId = '';
  /** `waits`: the group has its JoinGroup, and answers when all have joined. */
  #joining: 'sent' | 'waits' | undefined;
  /** SIGSTOP: nothing reaches it. */
  paused = false;
  /** Nothing of the group reaches it. */
  cutOff = false;
  leaving = false;
  left = false;
  #doubted = false;
  /** Partitions that it was told to give away, or lost, so often. */
  readonly #disturbances = new Map<number, number>();

  constructor(world: World, name: string, address: string, rules: { transition: typeof transition }) {
    this.#world = world;
    this.name = name;
    this.address = address;
    this.clients = openClients(() => world.random(), world.time);
    const ask = <Answer>(run: () => Answer) => world.ask(this, run);
    this.holdings = openHoldings({
      partitionCount: world.partitionCount,
      address,
      peer: () => '',
      handoverWindowMs,
      registry: {
        claim: claim => ask(() => world.claim(claim)),
        release: (partition, memberId) => ask(() => world.registry.release(partition, memberId)),
      },
      confirm: () =>
        new Promise(resolve => {
          this.#send(() => {
            const verdict = this.cutOff ? 'unknown' : this.#isMember() ? 'member' : 'zombie';
            this.#receive(() => resolve(verdict));
          });
        }),
      prepare: () => new Promise(resolve => world.wires.send(`warm ${name}`, resolve)),
      tookOver() {},
      transition: rules.transition,
      ...{ clock: world.time, metrics, log },
    });
    followOwnership({ ownership: this.holdings, clients: this.clients, cool() {}, clock: world.time });
  }

  /** A heartbeat, or the attempt to join. */
  beat(): void {
    if (this.paused || this.cutOff || this.leaving) return;
    this.#send(() => {
      if (this.cutOff) return;
      const { group } = this.#world;
      const known = group.members.get(this.#memberId);
      if (known === undefined) {
        // UNKNOWN_MEMBER_ID, or nobody yet.
        this.#receive(() => {
          if (this.#joining === 'sent') return;
          if (this.member !== undefined) this.#lose('fenced');
          this.#joining = undefined;
          this.#join();
        });
      } else if (!known.joined && (group.rebalancing || this.member === undefined)) this.#receive(() => this.#join());
      else if (this.#doubted && this.member?.generation === group.generation) this.#receive(() => this.#confirmed());
    });
  }

  #confirmed(): void {
    if (!this.#doubted || this.member === undefined || this.leaving) return;
    this.#doubted = false;
    for (const partition of this.member.partitions) this.#world.settled(this, partition);
    this.holdings.assigned(this.member);
  }

  /** Nothing was heard for a session's length. */
  loseContact(): void {
    if (this.cutOff && this.member !== undefined && !this.leaving && !this.paused) this.#lose('silence');
  }

  /** So it was, and Kafka answers. What it gives away then is what another has claimed. */
  doubt(): void {
    if (!this.cutOff || this.member === undefined || this.leaving || this.paused) return;
    this.#doubted = true;
    const owned = this.holdings.in('owned');
    this.holdings.doubted();
    for (const partition of owned) {
      if (this.holdings.tenure(partition).state !== 'owned') this.#disturb(partition);
    }
  }

  assigned(share: Share): void {
    const { group } = this.#world;
    if (this.leaving || share.memberId !== this.#memberId) return;
    const known = group.members.get(share.memberId);
    // The answer to a later JoinGroup is on its way.
    if (known !== undefined && (known.joined || share.generation !== group.generation)) return;
    this.#joining = undefined;
    if (known === undefined) return;
    // A newer rebalance has begun: REBALANCE_IN_PROGRESS.
    if (group.rebalancing) {
      this.#join();
      return;
    }
    this.member = share;
    this.#doubted = false;
    this.#claim = { owned: share.partitions, generation: share.generation };
    const mine = new Set(share.partitions);
    for (let partition = 0; partition < this.#world.partitionCount; partition += 1) {
      if (!mine.has(partition)) this.#disturb(partition);
      else this.#world.settled(this, partition);
    }
    this.holdings.assigned(share);
  }

  /** SIGTERM. */
  leave(): void {
    if (this.leaving) return;
    this.leaving = true;
    this.#send(() => {
      this.#world.handOut(this.#world.group.remove(this.#memberId));
      this.#receive(() => {
        for (let partition = 0; partition < this.#world.partitionCount; partition += 1) this.#disturb(partition);
        void this.holdings.leave().then(() => {
          this.left = true;
        });
      });
    });
  }

  /** As placement.ts. */
  admission(partition: number): 'admit' | 'wait' | 'refuse' {
    if (this.holdings.admits(partition)) return 'admit';
    return this.holdings.tenure(partition).state === 'claiming' ? 'wait' : 'refuse';
  }

  admit(client: Client): () => void {
    return this.clients.add(client);
  }

  disturbances(partition: number): number {
    return this.#disturbances.get(partition) ?? 0;
  }

  learned(partition: number, owner: Owner): void {
    this.holdings.learned(partition, owner);
  }

  get memberId(): string {
    return this.#memberId;
  }

  #join(): void {
    if (this.#joining !== undefined || this.leaving) return;
    this.#joining = 'sent';
    this.#send(() => {
      if (this.cutOff) {
        this.#receive(() => {
          this.#joining = undefined;
        });
        return;
      }
      const { memberId, shares } = this.#world.group.join(this.#memberId, this.address, this.#claim);
      this.#world.named(memberId, this);
      this.#receive(() => {
        this.#joining = 'waits';
        this.#memberId = memberId;
      });
      this.#world.handOut(shares);
    });
  }

  #lose(cause: 'fenced' | 'silence'): void {
    this.member = undefined;
    this.#doubted = false;
    for (let partition = 0; partition < this.#world.partitionCount; partition += 1) this.#disturb(partition);
    this.holdings.lost(cause);
  }

  #disturb(partition: number): void {
    this.#disturbances.set(partition, this.disturbances(partition) + 1);
  }

  #isMember(): boolean {
    const { group } = this.#world;
    return group.members.has(this.#memberId) && this.member?.generation === group.generation;
  }

  #send(run: () => void): void {
    this.#world.wires.send(`group< ${this.name}`, run);
  }

  #receive(run: () => void): void {
    this.#world.wires.send(`group> ${this.name}`, run);
  }
}
