/**
 * Gateways, routers and clients between a simulated Kafka group and a simulated Redis: messages are late, lost or out of
 * order, processes die, are paused and come back as zombies. Every step is chosen by the test. Real are the tenures, claims,
 * holdings, handover and clients of gateways, the routers' owner map, and the plan of the group's leader.
 */
import type { planSticky } from '../../../../lib/kafka/index.ts';
import { OwnerMap } from '../../../../lib/ownership/owner-map.ts';
import { isOther } from '../../../../lib/ownership/owners.ts';
import type { Claim, ClaimAnswer } from '../../../../lib/ownership/registry.ts';
import type { transition } from '../../../../lib/ownership/tenure.ts';
import type { Owner } from '../../../../lib/ownership/types.ts';
import { SimulatedGateway } from './gateway.ts';
import { type Share, SimulatedGroup } from './group.ts';
import { type RegistryRules, SimulatedRegistry } from './registry.ts';
import { Time, Wires } from './time.ts';

export interface FleetRules {
  transition: typeof transition;
  plan: typeof planSticky;
  registry: RegistryRules;
}

interface SimulatedClient {
  partition: number;
  /** Who serves it; undefined: it looks for somebody. */
  gateway: SimulatedGateway | undefined;
  /** The gateway's disturbances of its partition that do not concern it. */
  calmUntil: number;
  /** It was asked to go. */
  asked: boolean;
  depart: () => void;
}

/** Whether somebody may have awaited what comes over this wire. */
export function mayResolve(wire: string): boolean {
  return wire.startsWith('redis>') || wire.startsWith('warm') || wire.startsWith('group>');
}

export class World {
  readonly time = new Time();
  readonly wires = new Wires();
  readonly partitionCount: number;
  readonly group: SimulatedGroup;
  readonly registry: SimulatedRegistry;
  gateways: SimulatedGateway[] = [];
  readonly #routers: OwnerMap[];
  readonly #clients: SimulatedClient[];
  readonly problems: string[] = [];
  readonly #rules: FleetRules;
  redis: 'up' | 'away' | 'hangs' = 'up';
  /** Redis has been away or lost something: epochs may have been used twice. */
  #redisFailed = false;
  /** Of gateways, by the id that the group has given them. */
  readonly #nameOf = new Map<string, string>();
  #names = 0;
  #draws = 0;

  constructor(partitionCount: number, routers: number, rules: FleetRules) {
    this.partitionCount = partitionCount;
    this.#rules = rules;
    this.group = new SimulatedGroup(partitionCount, rules.plan);
    this.#routers = Array.from({ length: routers }, () => new OwnerMap());
    this.#clients = Array.from({ length: partitionCount * 2 }, (_, index) => ({
      partition: index % partitionCount,
      gateway: undefined,
      calmUntil: 0,
      asked: false,
      depart() {},
    }));
    this.registry = new SimulatedRegistry(rules.registry, (partition, owner) => this.#publish(partition, owner));
  }

  random(): number {
    this.#draws += 1;
    return (this.#draws * 0.618034) % 1;
  }

  gateway(which: number): SimulatedGateway | undefined {
    return this.gateways[which % Math.max(1, this.gateways.length)];
  }

  start(reuse: boolean): void {
    const name = `g${this.#names++}`;
    const used = new Set(this.gateways.map(({ address }) => address));
    const address = reuse ? (['a', 'b', 'c', 'd', 'e'].find(one => !used.has(one)) ?? name) : name;
    this.gateways.push(new SimulatedGateway(this, name, address, this.#rules));
  }

  /** kill -9: what it has sent still arrives. */
  kill(gateway: SimulatedGateway): void {
    this.gateways = this.gateways.filter(other => other !== gateway);
    gateway.left = true;
    this.wires.cut(wire => wire === `group> ${gateway.name}` || wire === `redis> ${gateway.name}`);
    this.wires.cut(wire => wire === `news ${gateway.name}` || wire === `warm ${gateway.name}`);
    for (const client of this.#clients) if (client.gateway === gateway) client.gateway = undefined;
    gateway.paused = true;
  }

  /** A peer's verdict, right or wrong, or the end of a session. */
  evict(which: number): void {
    const ids = [...this.group.members.keys()];
    const id = ids[which % Math.max(1, ids.length)];
    if (id !== undefined) this.handOut(this.group.remove(id));
  }

  handOut(shares: readonly Share[]): void {
    for (const share of shares) {
      // A member that does not know its id yet learns it first, on the same wire.
      const name = this.#nameOf.get(share.memberId);
      this.wires.send(`group> ${name}`, () => {
        this.gateways.find(one => one.name === name)?.assigned(share);
      });
    }
  }

  named(memberId: string, gateway: SimulatedGateway): void {
    this.#nameOf.set(memberId, gateway.name);
  }

  /** One request to Redis and its answer, in order for each gateway. */
  ask<Answer>(gateway: SimulatedGateway, run: () => Answer): Promise<Answer> {
    if (this.redis === 'away') return Promise.reject(new Error('Redis is away'));
    return new Promise((resolve, reject) => {
      this.wires.send(`redis< ${gateway.name}`, () => {
        if (this.redis !== 'up') {
          this.wires.send(`redis> ${gateway.name}`, () => reject(new Error('Redis does not answer')));
          return;
        }
        const answer = run();
        this.wires.send(`redis> ${gateway.name}`, () => resolve(answer));
      });
    });
  }

  /** A zombie's claim changes nothing where somebody newer has written. */
  claim(claim: Claim): ClaimAnswer {
    const stored = this.registry.entries.get(claim.partition);
    const answer = this.registry.claim(claim);
    const isZombie = !this.group.members.has(claim.memberId) && claim.mode === 'gain';
    if (answer.answer === 'OK' && isZombie && stored !== undefined && stored.generation > claim.generation) {
      this.#problem(`a zombie of generation ${claim.generation} claims partition ${claim.partition}`);
    }
    return answer;
  }

  /** The gateway reads all that Redis has, and compares. */
  compare(gateway: SimulatedGateway): void {
    if (gateway.paused || gateway.left) return;
    void this.ask(gateway, () => new Map(this.registry.entries)).then(
      entries => gateway.holdings.compared(entries),
      () => gateway.holdings.compared(undefined),
    );
  }

  flush(): void {
    this.registry.entries.clear();
    this.#redisFailed = true;
  }

  breakRedis(how: 'away' | 'hangs'): void {
    this.redis = how;
    this.#redisFailed = true;
  }

  /** A router looks: at Redis, or at the group where Redis does not answer. */
  poll(which: number): void {
    const index = which % this.#routers.length;
    const router = this.#routers[index];
    if (router === undefined) return;
    router.redisAsked();
    const entries = this.redis === 'up' ? new Map(this.registry.entries) : undefined;
    this.wires.send(`poll ${index}`, () => router.redisAnswered(entries));
    if (entries !== undefined && entries.size === this.partitionCount) return;
    const assignment = this.#assignment();
    this.wires.send(`poll ${index}`, () => router.groupAnswered(assignment, this.redis === 'up'));
  }

  /** A client that has no gateway asks a router for one. */
  act(which: number): void {
    const index = which % this.#clients.length;
    const client = this.#clients[index];
    if (client === undefined || client.gateway !== undefined) return;
    const { partition } = client;
    const owner = this.#routers[which % this.#routers.length]?.owners.get(partition);
    const gateway = this.gateways.find(({ address }) => address === owner?.address);
    if (gateway === undefined || gateway.paused || gateway.left) return;
    if (gateway.admission(partition) !== 'admit') return;
    client.gateway = gateway;
    client.asked = false;
    client.calmUntil = gateway.holdings.tenure(partition).state === 'owned' ? gateway.disturbances(partition) : -1;
    const moveOn = () => {
      if (client.gateway !== gateway) return;
      if (gateway.disturbances(partition) <= client.calmUntil) {
        this.#problem(`a client of partition ${partition} is sent away by ${gateway.name}, which keeps it`);
      }
      client.asked = true;
    };
    client.depart = gateway.admit({
      partition,
      routed: true,
      moveOn,
      afterEvent: (withinMs, run) => void this.time.after(withinMs, run),
      announceMove: index % 2 === 1 ? moveOn : undefined,
    });
  }

  /** A client that was asked to go has gone. */
  depart(which: number): void {
    const client = this.#clients[which % this.#clients.length];
    if (client === undefined || !client.asked || client.gateway === undefined) return;
    client.asked = false;
    client.gateway = undefined;
    client.depart();
  }

  /** The group gives a gateway what its clients are there for: whoever was not asked to go yet stays. */
  settled(gateway: SimulatedGateway, partition: number): void {
    for (const client of this.#clients) {
      if (client.gateway === gateway && client.partition === partition && !client.asked) {
        client.calmUntil = Math.max(client.calmUntil, gateway.disturbances(partition));
      }
    }
  }

  /** At any time: no two own a partition under one epoch, as long as Redis was there to count. */
  check(): void {
    if (this.#redisFailed) return;
    for (let partition = 0; partition < this.partitionCount; partition += 1) {
      const epochs = this.gateways.flatMap(({ holdings }) => {
        const tenure = holdings.tenure(partition);
        return tenure.state === 'owned' ? [tenure.epoch] : [];
      });
      if (new Set(epochs).size < epochs.length) this.#problem(`partition ${partition} is owned twice under one epoch`);
    }
  }

  blocked = (wire: string): boolean => {
    const gateway = this.gateways.find(({ name }) => wire.endsWith(` ${name}`));
    // What a paused process has sent is on its way; it hears nothing.
    return gateway?.paused === true && !wire.includes('<');
  };

  /** No more faults: everything arrives, time goes on, and all must be well. */
  async calm(flush: () => Promise<void>): Promise<void> {
    this.redis = 'up';
    if (this.gateways.every(({ leaving }) => leaving)) this.start(false);
    for (const gateway of this.gateways) {
      gateway.paused = false;
      gateway.cutOff = false;
    }
    for (const [id] of this.group.members) {
      if (!this.gateways.some(({ memberId }) => memberId === id)) this.handOut(this.group.remove(id));
    }
    for (let round = 0; round < 12; round += 1) {
      for (const [id] of this.group.members) {
        const isThere = this.gateways.some(({ memberId, leaving }) => memberId === id && !leaving);
        if (round > 3 && !isThere) this.handOut(this.group.remove(id));
      }
      for (const gateway of this.gateways) {
        gateway.beat();
        this.compare(gateway);
      }
      for (let router = 0; router < this.#routers.length; router += 1) this.poll(router);
      await this.#drain(flush);
      for (let index = 0; index < this.#clients.length; index += 1) {
        this.depart(index);
        this.act(index);
      }
      this.time.pass(600);
      await this.#drain(flush);
      // A process that ends closes whatever is still connected to it.
      for (const client of this.#clients) if (client.gateway?.left === true) client.gateway = undefined;
      this.gateways = this.gateways.filter(gateway => !gateway.left);
    }
    this.#checkCalm();
  }

  async #drain(flush: () => Promise<void>): Promise<void> {
    await flush();
    for (let count = 0; count < 10_000; count += 1) {
      const wire = this.wires.deliver(count, this.blocked);
      if (wire === undefined) return;
      if (mayResolve(wire)) await flush();
    }
    this.#problem('the messages do not come to an end');
  }

  #checkCalm(): void {
    for (let partition = 0; partition < this.partitionCount; partition += 1) {
      const owners = this.gateways.filter(({ holdings }) => holdings.tenure(partition).state === 'owned');
      const [owner] = owners;
      const tenure = owner?.holdings.tenure(partition);
      const entry = this.registry.entries.get(partition);
      if (owner === undefined || owners.length > 1) {
        const states = this.gateways.map(({ name, holdings }) => `${name}:${holdings.tenure(partition).state}`);
        this.#problem(`partition ${partition} has ${owners.length} owners: ${states.join(' ')}`);
      } else if (entry?.address !== owner.address || tenure?.state !== 'owned' || entry.epoch !== tenure.epoch) {
        this.#problem(`Redis says of partition ${partition}: ${entry?.address} ${entry?.epoch}`);
      }
      for (const router of this.#routers) {
        const named = router.owners.get(partition);
        if (named === undefined || entry === undefined || isOther(named, entry) || isOther(entry, named)) {
          this.#problem(`a router believes that ${named?.address} owns partition ${partition}, not ${owner?.address}`);
        }
      }
      for (const client of this.#clients) {
        if (client.partition === partition && client.gateway !== owner) {
          this.#problem(`a client of partition ${partition} is at ${client.gateway?.name}, not at ${owner?.name}`);
        }
      }
    }
  }

  #publish(partition: number, owner: Owner): void {
    for (const { name } of this.gateways) {
      this.wires.send(`news ${name}`, () => this.gateways.find(one => one.name === name)?.learned(partition, owner));
    }
    this.#routers.forEach((router, index) => {
      this.wires.send(`news router-${index}`, () => void router.published(partition, owner));
    });
  }

  #assignment(): Map<number, Owner> {
    const owners = new Map<number, Owner>();
    const { generation } = this.group;
    for (const [memberId, partitions] of this.group.shares) {
      const address = this.group.members.get(memberId)?.address ?? '';
      for (const partition of partitions) owners.set(partition, { address, epoch: 0, generation, memberId });
    }
    return owners;
  }

  #problem(text: string): void {
    if (this.problems.length < 10) this.problems.push(text);
  }
}
