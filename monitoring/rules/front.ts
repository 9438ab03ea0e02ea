import { by, type Group, series } from './types.ts';

/** Alerts about what gateways tell: ownership, replay, clients, the topics that they read. */
export const gateway: Group = {
  name: 'penstock.gateway',
  alerts: [
    {
      name: 'PenstockPartitionUnowned',
      expression: `max ${by} (${series('penstock_ownership_partitions')}) - sum ${by} (${series('penstock_gateway_partitions_owned')}) > 0`,
      for: '2m',
      severity: 'critical',
      summary: 'At least one partition has no owner.',
      description: 'Clients whose key lives in a partition without an owner wait at the routers, and get 503 or 1013.',
      runbook: 'ownership',
      dashboard: 'ownership',
    },
    {
      name: 'PenstockAppendsFenced',
      expression: `sum ${by} (increase(${series('penstock_replay_fenced_total')}[5m])) > 0`,
      for: '15m',
      severity: 'warning',
      summary: 'Claims and appends to the replay buffer keep being refused as stale.',
      description:
        'A few fenced appends belong to each move of a partition. When they do not stop, two deployments share a Redis and a group.',
      runbook: 'ownership',
      dashboard: 'ownership',
    },
    {
      name: 'PenstockCursorsExpired',
      expression: `sum ${by} (increase(${series('penstock_replay_expired_total')}[15m])) > 5`,
      for: '5m',
      severity: 'warning',
      summary: 'Clients come back with cursors that can no longer be served.',
      description: 'Their streams end with CURSOR_EXPIRED: what they have missed is not in the log any more.',
      runbook: 'replay',
      dashboard: 'replay',
    },
    {
      name: 'PenstockReplayFromKafka',
      expression: [
        `sum ${by} (rate(${series('penstock_replay_resumed_total', 'tier="kafka"')}[15m]))`,
        `  / sum ${by} (rate(${series('penstock_replay_resumed_total')}[15m])) > 0.25`,
        `and sum ${by} (rate(${series('penstock_replay_resumed_total', 'tier="kafka"')}[15m])) > 0.1`,
      ].join('\n'),
      for: '15m',
      severity: 'warning',
      summary: 'More than a quarter of the replays are read from Kafka.',
      description:
        'Neither memory nor the replay buffer in Redis has what clients have missed, which makes coming back dear.',
      runbook: 'replay',
      dashboard: 'replay',
    },
    {
      name: 'PenstockSlowConsumersClosed',
      expression: `sum ${by} (increase(${series('penstock_gateway_slow_closed_total')}[10m])) > 10`,
      for: '10m',
      severity: 'warning',
      summary: 'Gateways close clients that do not take what they have asked for.',
      description: 'Such clients are closed with 1013 and resume by cursor: they are slow, or their network is.',
      runbook: 'consumers',
      dashboard: 'overview',
    },
    absent('gateway', 'penstock_gateway_partitions_owned', 'overview'),
  ],
};

export const router: Group = {
  name: 'penstock.router',
  alerts: [
    {
      name: 'PenstockRouterWaiting',
      expression: [
        `sum ${by} (min_over_time(${series('penstock_router_waiting_upgrades')}[5m])) > 0`,
        `or sum ${by} (rate(${series('penstock_router_routed_total', 'outcome=~"no_owner|overloaded"')}[5m])) > 0.1`,
      ].join('\n'),
      for: '5m',
      severity: 'warning',
      summary: 'Clients wait at the routers, or are turned away for want of an owner.',
      description: 'There are always upgrades in line, or requests end with 503 because no gateway takes them in time.',
      runbook: 'routing',
      dashboard: 'overview',
    },
    {
      name: 'PenstockSigningKeyOverdue',
      expression: `time() - min by (namespace, job, use) (${series('penstock_auth_signing_key_rotation_timestamp_seconds')}) > 0`,
      for: '10m',
      severity: 'warning',
      summary: 'The signing key for {{ $labels.use }} tokens should have been replaced.',
      description: 'A router has not been able to make or to read the successor of its signing key.',
      runbook: 'secrets',
      dashboard: 'overview',
    },
    {
      name: 'PenstockSigningKeyOverdue',
      expression: [
        `time() - min by (namespace, job, use) (${series('penstock_auth_signing_key_rotation_timestamp_seconds')}) > 0`,
        `and min by (namespace, job, use) (${series('penstock_auth_signing_key_expiry_timestamp_seconds')}) - time() < 1800`,
      ].join('\n'),
      for: '1m',
      severity: 'critical',
      summary: 'The signing key for {{ $labels.use }} tokens ends within half an hour, and has no successor.',
      description: 'After that the router signs nothing: nobody can log in, or nobody is given a route.',
      runbook: 'secrets',
      dashboard: 'overview',
    },
    absent('router', 'penstock_router_connections', 'overview'),
  ],
};

/** Returns the alert for a component of which no process works: the metric is one that begins to exist when Kafka has answered. */
export function absent(component: string, metric: string, dashboard: 'overview' | 'commands') {
  return {
    name: 'PenstockMetricsAbsent' as const,
    expression: `absent(${series(metric)})`,
    for: '5m',
    severity: 'critical' as const,
    labels: { component },
    summary: `Prometheus has no metrics of any ${component} at work.`,
    description:
      'All are gone, wait for Kafka or PostgreSQL at their start, or are not scraped. No other alert about them can fire.',
    runbook: 'processes' as const,
    dashboard,
  };
}
