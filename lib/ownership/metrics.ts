import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { sharedCounter } from '../ops/index.ts';
import type { Handoff } from './types.ts';

/** What a gateway's side of ownership counts. */
export interface OwnershipMetrics {
  rebalanced(): void;
  fenced(): void;
  /** From the assignment that gave the partition to the claim being visible to routers. */
  handedOff(handoff: Handoff): void;
  /** The newest handoffs, the newest first. */
  handoffs(): readonly Handoff[];
}

/** So many handoffs are kept. */
const keptHandoffs = 50;

/** What every member of a control group tells of its peers. */
export function membershipMetrics(registry: Registry, current: { peers(): number }): void {
  new Gauge({
    name: 'penstock_ownership_peers',
    help: 'Other members of its group whose death this process would notice at once',
    registers: [registry],
    collect() {
      this.set(current.peers());
    },
  });
}

export function ownershipMetrics(
  registry: Registry,
  current: { owned(): number; unclaimed(): number },
  partitionCount: number,
): OwnershipMetrics {
  const registers = [registry];
  new Gauge({
    name: 'penstock_ownership_partitions',
    help: 'Partition numbers that the group of gateways shares out; what all of them own sums up to it',
    registers,
  }).set(partitionCount);
  new Gauge({
    name: 'penstock_gateway_partitions_owned',
    help: 'Partition numbers that this gateway owns; those it hands over count at their new owner',
    registers,
    collect() {
      this.set(current.owned());
    },
  });
  new Gauge({
    name: 'penstock_ownership_unclaimed_partitions',
    help: 'Owned by the group generation alone because Redis is away; routers learn of them from Kafka',
    registers,
    collect() {
      this.set(current.unclaimed());
    },
  });
  const rebalances = new Counter({
    name: 'penstock_ownership_rebalances_total',
    help: 'Assignments that this gateway was given by its group',
    registers,
  });
  const fenced = sharedCounter(registry, {
    name: 'penstock_replay_fenced_total',
    help: 'Claims and appends that were answered STALE: somebody newer was there',
  });
  const handoff = new Histogram({
    name: 'penstock_ownership_handoff_seconds',
    help: 'From the assignment that gives a partition to this gateway to its claim being visible to routers',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const handoffs: Handoff[] = [];
  return {
    rebalanced: () => rebalances.inc(),
    fenced: () => fenced.inc(),
    handedOff(made) {
      handoff.observe(made.seconds);
      handoffs.unshift(made);
      handoffs.length = Math.min(handoffs.length, keptHandoffs);
    },
    handoffs: () => handoffs,
  };
}
