import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { type LimitRefusals, openLimitRefusals } from '../../lib/ops/index.ts';

/** The gateway's own metrics; those of replay and ownership are registered in their rooms. */
export interface GatewayMetrics {
  connections: Gauge;
  subscriptions: Gauge<'scope'>;
  delivered: Counter<'topic'>;
  deliverySeconds: Histogram;
  slowClosed: Counter;
  refusals: LimitRefusals;
  skipped: Counter<'topic' | 'reason'>;
  misplaced: Counter<'topic'>;
  commandsInFlight: Gauge;
  commandSeconds: Histogram<'outcome'>;
}

/** What became of a command, as its client sees it. */
const commandOutcomes = ['answered', 'pending', 'failed', 'abandoned'] as const;

export function openGatewayMetrics(registry: Registry): GatewayMetrics {
  const registers = [registry];
  const commandSeconds = new Histogram({
    name: 'penstock_gateway_command_seconds',
    help: 'From the request of a command to its final feedback, or to giving up',
    labelNames: ['outcome'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  // A share of answered commands can be told only where there is a series of them, be it 0.
  for (const outcome of commandOutcomes) commandSeconds.zero({ outcome });
  return {
    connections: new Gauge({
      name: 'penstock_gateway_connections',
      help: 'WebSocket connections and SSE responses that are open',
      registers,
    }),
    subscriptions: new Gauge({
      name: 'penstock_gateway_subscriptions',
      help: 'Subscriptions to records that are open',
      labelNames: ['scope'],
      registers,
    }),
    delivered: new Counter({
      name: 'penstock_gateway_delivered_total',
      help: 'Records written to a socket, once for each subscription',
      labelNames: ['topic'],
      registers,
    }),
    deliverySeconds: new Histogram({
      name: 'penstock_gateway_delivery_seconds',
      help: "From a record's append to the socket, for records appended after the subscription began",
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
    slowClosed: new Counter({
      name: 'penstock_gateway_slow_closed_total',
      help: 'Connections closed because the client did not take what it had asked for',
      registers,
    }),
    refusals: openLimitRefusals(registry),
    skipped: new Counter({
      name: 'penstock_gateway_skipped_total',
      help: 'Records that a stream passed over: tombstones, values that are no JSON object or do not fit the type',
      labelNames: ['topic', 'reason'],
      registers,
    }),
    misplaced: new Counter({
      name: 'penstock_misplaced_records_total',
      help: "Records that lie in another partition than their key's",
      labelNames: ['topic'],
      registers,
    }),
    commandsInFlight: new Gauge({
      name: 'penstock_gateway_commands_in_flight',
      help: 'Commands that wait for their feedback',
      registers,
    }),
    commandSeconds,
  };
}
