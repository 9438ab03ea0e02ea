import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { type LimitRefusals, openLimitRefusals } from '../../lib/ops/index.ts';
import type { Owner } from '../../lib/ownership/types.ts';

const outcomes = [
  'routed',
  /** Routed, after a gateway had said that it was not the owner or could not be reached. */
  'rerouted',
  /** Served by another gateway, because the owner cannot be reached from here. */
  'stood_in',
  'unauthenticated',
  'no_owner',
  /** The gateway's answer was lost, or was none. */
  'broken',
  'overloaded',
  'client_gone',
  /** Not a request that could be routed: sub-protocol, path, size. */
  'refused',
] as const;

/** What became of a request or an upgrade that was to be routed. */
export type Outcome = (typeof outcomes)[number];

export interface RouterMetrics {
  routed(outcome: Outcome): void;
  served(asked: { attempts: number; by: Owner }): void;
  unownedWait(seconds: number): void;
  refusals: LimitRefusals;
}

/** @param connections client connections open now. @param waiting upgrades that wait for their turn at a gateway. */
export function routerMetrics(registry: Registry, connections: () => number, waiting: () => number): RouterMetrics {
  new Gauge({
    name: 'penstock_router_connections',
    help: 'Client connections that are open',
    registers: [registry],
    collect() {
      this.set(connections());
    },
  });
  new Gauge({
    name: 'penstock_router_waiting_upgrades',
    help: 'WebSocket upgrades that wait for their turn at a gateway',
    registers: [registry],
    collect() {
      this.set(waiting());
    },
  });
  const counter = new Counter({
    name: 'penstock_router_routed_total',
    help: 'Requests and WebSocket upgrades for /graphql, by what became of them',
    labelNames: ['outcome'],
    registers: [registry],
  });
  const unowned = new Histogram({
    name: 'penstock_router_unowned_wait_seconds',
    help: 'Time that a request waited for an owner of its partition, where it had to',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  });
  for (const outcome of outcomes) counter.inc({ outcome }, 0);
  const routed = (outcome: Outcome): void => counter.inc({ outcome });
  return {
    routed,
    served: ({ attempts, by }) => routed(by.standsIn ? 'stood_in' : attempts === 1 ? 'routed' : 'rerouted'),
    unownedWait: seconds => unowned.observe(seconds),
    refusals: openLimitRefusals(registry),
  };
}
