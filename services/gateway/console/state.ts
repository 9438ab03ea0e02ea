import type { Registry } from 'prom-client';
import { lagOver, lagsBy, type Readings, rounded } from '../../../lib/fleet/index.ts';
import { lagsOf, type PartitionLag } from '../../../lib/kafka/index.ts';
import type { Ownership, Tenure } from '../../../lib/ownership/types.ts';
import type { Clients } from '../clients.ts';

export interface GatewayStateParts {
  address: string;
  ownership: Pick<Ownership, 'tenure' | 'partitionCount' | 'handoffs'>;
  clients: Pick<Clients, 'count'>;
  registry: Registry;
  /** Topics whose records are the app's: what the console itself reads is not counted. */
  topics: ReadonlySet<string>;
}

export const stateNames = {
  foreign: 'FOREIGN',
  claiming: 'CLAIMING',
  owned: 'OWNED',
  'handing-over': 'HANDING_OVER',
} as const;

/** Returns what a gateway tells of itself. */
export function gatewayState(parts: GatewayStateParts): (readings: Readings) => Promise<object> {
  const { ownership, clients, registry, topics } = parts;
  const isApps = ({ topic }: { topic?: unknown }) => topics.has(String(topic));
  return async readings => {
    const lags = lagsOf(registry).filter(isApps);
    const series = async (name: string, label: string, as: string) =>
      (await readings.series(name)).map(({ labels, value }) => ({ [as]: String(labels[label]), count: value }));
    return {
      gateway: {
        address: parts.address,
        partitionCount: ownership.partitionCount,
        partitions: partitionsOf(ownership, clients, lags),
        connections: await readings.sum('penstock_gateway_connections'),
        subscriptions: await series('penstock_gateway_subscriptions', 'scope', 'scope'),
        deliveredPerSecond: rounded(await readings.rate('penstock_gateway_delivered_total', isApps)),
        commandsWaiting: await readings.sum('penstock_gateway_commands_in_flight'),
        ...lagOver(lags),
        replays: await series('penstock_replay_resumed_total', 'tier', 'tier'),
        expired: await readings.sum('penstock_replay_expired_total'),
        handoffs: ownership.handoffs().map(({ partition, epoch, atMs, seconds }) => {
          return { partition, epoch, at: new Date(atMs).toISOString(), seconds: rounded(seconds) };
        }),
      },
    };
  };
}

function partitionsOf(
  ownership: Pick<Ownership, 'tenure' | 'partitionCount'>,
  clients: Pick<Clients, 'count'>,
  lags: readonly PartitionLag[],
) {
  const byPartition = lagsBy(lags, ({ partition }) => partition);
  const unknown = lagOver([]);
  return Array.from({ length: ownership.partitionCount }, (_, number) => {
    const tenure = ownership.tenure(number);
    const { state } = tenure;
    const sessions = clients.count(number);
    if (state === 'foreign' && sessions === 0) return [];
    return [
      { number, state: stateNames[state], epoch: epochOf(tenure), sessions, ...(byPartition.get(number) ?? unknown) },
    ];
  }).flat();
}

function epochOf(tenure: Tenure): number | null {
  return tenure.state === 'foreign' ? null : (tenure.epoch ?? null);
}
