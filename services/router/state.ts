import { type Readings, rounded } from '../../lib/fleet/index.ts';

/** Returns what a router tells of itself. */
export async function routerState(readings: Readings): Promise<object> {
  return {
    router: {
      connections: await readings.sum('penstock_router_connections'),
      waiting: await readings.sum('penstock_router_waiting_upgrades'),
      routedPerSecond: rounded(await readings.rate('penstock_router_routed_total')),
    },
  };
}
