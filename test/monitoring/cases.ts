import type { Alert } from '../../monitoring/rules/types.ts';
import type { InputSeries } from './promtool.ts';

/** When one alert fires, and when it stays quiet; values are one minute apart. */
export interface AlertCase {
  alert: Alert['name'];
  /** Which of the alerts of that name; default: there is one. */
  severity?: Alert['severity'];
  component?: string;
  /** Labels of the series that the alert keeps. */
  labels?: Readonly<Record<string, string>>;
  at: string;
  fires: readonly InputSeries[];
  quiet: readonly InputSeries[];
}

const of = (series: string, values: string): InputSeries => ({ series, values });
const day = 86_400;

/** Each gateway's and router's series; everything is measured from the Unix epoch, at which promtool's time begins. */
export const cases: readonly AlertCase[] = [
  {
    alert: 'PenstockPartitionUnowned',
    at: '5m',
    fires: [
      of('penstock_ownership_partitions{pod="a"}', '24x10'),
      of('penstock_ownership_partitions{pod="b"}', '24x10'),
      of('penstock_gateway_partitions_owned{pod="a"}', '12x10'),
      of('penstock_gateway_partitions_owned{pod="b"}', '11x10'),
    ],
    quiet: [
      of('penstock_ownership_partitions{pod="a"}', '24x10'),
      of('penstock_ownership_partitions{pod="b"}', '24x10'),
      of('penstock_gateway_partitions_owned{pod="a"}', '12 12 24x10'),
      of('penstock_gateway_partitions_owned{pod="b"}', '12 0x10'), // one minute in which nobody owned its partitions
    ],
  },
  {
    alert: 'PenstockAppendsFenced',
    at: '30m',
    fires: [of('penstock_replay_fenced_total{pod="a"}', '0+1x40')],
    quiet: [of('penstock_replay_fenced_total{pod="a"}', '0x5 12x35')], // one move of partitions
  },
  {
    alert: 'PenstockCursorsExpired',
    at: '30m',
    fires: [of('penstock_replay_expired_total{pod="a"}', '0+1x40')],
    quiet: [of('penstock_replay_expired_total{pod="a"}', '0x20 3x20')],
  },
  {
    alert: 'PenstockReplayFromKafka',
    at: '45m',
    fires: [
      of('penstock_replay_resumed_total{tier="memory"}', '0+20x60'),
      of('penstock_replay_resumed_total{tier="kafka"}', '0+20x60'),
    ],
    quiet: [
      of('penstock_replay_resumed_total{tier="memory"}', '0+200x60'),
      of('penstock_replay_resumed_total{tier="kafka"}', '0+20x60'),
    ],
  },
  {
    alert: 'PenstockSlowConsumersClosed',
    at: '30m',
    fires: [of('penstock_gateway_slow_closed_total{pod="a"}', '0+3x40')],
    quiet: [of('penstock_gateway_slow_closed_total{pod="a"}', '0x5 8x35')],
  },
  {
    alert: 'PenstockRouterWaiting',
    at: '15m',
    fires: [of('penstock_router_waiting_upgrades{pod="a"}', '40x20')],
    quiet: [of('penstock_router_waiting_upgrades{pod="a"}', '0 0 900 0 0 0 700 0 0 0 0 600 0x20')], // herds that are let in
  },
  {
    alert: 'PenstockRouterWaiting',
    at: '15m',
    fires: [of('penstock_router_routed_total{outcome="no_owner"}', '0+30x20')],
    quiet: [
      of('penstock_router_routed_total{outcome="routed"}', '0+300x20'),
      of('penstock_router_routed_total{outcome="no_owner"}', '0x20'),
    ],
  },
  {
    alert: 'PenstockSigningKeyOverdue',
    severity: 'warning',
    labels: { use: 'route' },
    at: '30m',
    fires: [
      of('penstock_auth_signing_key_rotation_timestamp_seconds{use="route"}', '600x40'),
      of('penstock_auth_signing_key_expiry_timestamp_seconds{use="route"}', '4200x40'),
    ],
    quiet: [
      of('penstock_auth_signing_key_rotation_timestamp_seconds{use="route"}', '600x5 100000x35'),
      of('penstock_auth_signing_key_expiry_timestamp_seconds{use="route"}', '4200x5 103600x35'),
    ],
  },
  {
    alert: 'PenstockSigningKeyOverdue',
    severity: 'critical',
    labels: { use: 'access' },
    at: '45m',
    fires: [
      of('penstock_auth_signing_key_rotation_timestamp_seconds{use="access"}', '600x60'),
      of('penstock_auth_signing_key_expiry_timestamp_seconds{use="access"}', '4200x60'),
    ],
    quiet: [
      // Keys that are replaced each minute never have half an hour left.
      of('penstock_auth_signing_key_rotation_timestamp_seconds{use="access"}', '60+60x60'),
      of('penstock_auth_signing_key_expiry_timestamp_seconds{use="access"}', '120+60x60'),
    ],
  },
  {
    alert: 'PenstockConsumerLag',
    severity: 'critical',
    labels: { component: 'projector', topic: 'balance_changed' },
    at: '12m',
    fires: [of('penstock_consumer_lag_seconds{component="projector",topic="balance_changed"}', '0+60x20')],
    quiet: [of('penstock_consumer_lag_seconds{component="projector",topic="balance_changed"}', '0 200 400 0x20')],
  },
  {
    alert: 'PenstockConsumerLag',
    severity: 'warning',
    labels: { component: 'command-handler', topic: 'commands' },
    at: '40m',
    fires: [of('penstock_consumer_lag_seconds{component="command-handler",topic="commands"}', '45x60')],
    quiet: [of('penstock_consumer_lag_seconds{component="command-handler",topic="commands"}', '45x20 0 45x25')],
  },
  {
    alert: 'PenstockHangingTransaction',
    labels: { topic: 'orders' },
    at: '10m',
    fires: [of('penstock_kafka_open_transaction_seconds{component="gateway",topic="orders"}', '0+60x20')],
    quiet: [
      of('penstock_kafka_open_transaction_seconds{component="gateway",topic="orders"}', '0 60 0 60 0 60 0 60x10'),
    ],
  },
  {
    alert: 'PenstockLimitsRefusing',
    labels: { limit: 'PENSTOCK_GATEWAY_MAX_DEPTH' },
    at: '45m',
    fires: [of('penstock_limit_refused_total{limit="PENSTOCK_GATEWAY_MAX_DEPTH",transport="ws"}', '0+30x60')],
    quiet: [of('penstock_limit_refused_total{limit="PENSTOCK_GATEWAY_MAX_DEPTH",transport="ws"}', '0x30 30x30')],
  },
  {
    alert: 'PenstockCertificateExpires',
    severity: 'warning',
    labels: { variable: 'PENSTOCK_KAFKA_TLS_CERT_FILE' },
    at: '2h',
    fires: [expiry('PENSTOCK_KAFKA_TLS_CERT_FILE', 10 * day)],
    quiet: [expiry('PENSTOCK_KAFKA_TLS_CERT_FILE', 20 * day)],
  },
  {
    alert: 'PenstockCertificateExpires',
    severity: 'critical',
    labels: { variable: 'PENSTOCK_POSTGRES_TLS_CA_FILE' },
    at: '10m',
    fires: [expiry('PENSTOCK_POSTGRES_TLS_CA_FILE', day)],
    quiet: [expiry('PENSTOCK_POSTGRES_TLS_CA_FILE', 3 * day)],
  },
  {
    alert: 'PenstockNotReady',
    labels: { component: 'projector', reason: 'partitions' },
    at: '30m',
    fires: [
      of('penstock_not_ready{component="projector",reason="partitions",pod="a"}', '0 1x40'),
      of('penstock_not_ready{component="projector",reason="drain",pod="b"}', '1x40'),
    ],
    quiet: [of('penstock_not_ready{component="projector",reason="partitions",pod="a"}', '0 1x10 0 1x10 0x20')],
  },
  {
    alert: 'PenstockWatchdogRestarts',
    labels: { component: 'gateway' },
    at: '20m',
    fires: [of('penstock_watchdog_restarts_total{component="gateway",pod="a"}', '0x10 _x2 1x10')],
    quiet: [of('penstock_watchdog_restarts_total{component="gateway",pod="a"}', '1x10 _x2 1x10')], // it was restarted otherwise
  },
  {
    alert: 'PenstockOutboxGrowing',
    at: '30m',
    fires: [of('penstock_outbox_oldest_seconds{pod="a"}', '0+60x40'), of('penstock_outbox_records{pod="a"}', '3x40')],
    quiet: [of('penstock_outbox_oldest_seconds{pod="a"}', '2x40'), of('penstock_outbox_records{pod="a"}', '400x40')],
  },
  {
    alert: 'PenstockOutboxGrowing',
    at: '30m',
    // A count that has reached the most that is counted does not grow any more.
    fires: [of('penstock_outbox_records{pod="a"}', '0+4000x10 40000x30')],
    quiet: [of('penstock_outbox_records{pod="a"}', '40000-1000x39')],
  },
  {
    alert: 'PenstockLedgerWentBack',
    labels: { reason: 'ledger_went_back' },
    at: '5m',
    fires: [of('penstock_handler_partitions_stopped{reason="ledger_went_back",pod="a"}', '24x10')],
    quiet: [of('penstock_handler_partitions_stopped{reason="ledger_went_back",pod="a"}', '0x10')],
  },
  {
    alert: 'PenstockAutoscalerAtMaximum',
    labels: { horizontalpodautoscaler: 'penstock-gateway' },
    at: '30m',
    fires: autoscaler('8x40'),
    quiet: autoscaler('8x5 5x35'),
  },
  absent('gateway', 'penstock_gateway_partitions_owned', '12x20'),
  absent('router', 'penstock_router_connections', '0x20'),
  absent('command-handler', 'penstock_outbox_unacknowledged_records', '0x20'),
  absent('projector', 'penstock_projector_fenced_total', '0x20'),
];

function expiry(variable: string, atSeconds: number): InputSeries {
  return of(`penstock_tls_certificate_expiry_timestamp_seconds{variable="${variable}",pod="a"}`, `${atSeconds}x200`);
}

function autoscaler(desired: string): InputSeries[] {
  const labels = '{horizontalpodautoscaler="penstock-gateway"}';
  return [
    of(`kube_horizontalpodautoscaler_status_desired_replicas${labels}`, desired),
    of(`kube_horizontalpodautoscaler_spec_max_replicas${labels}`, '8x40'),
    of(`kube_horizontalpodautoscaler_spec_min_replicas${labels}`, '2x40'),
  ];
}

function absent(component: string, metric: string, values: string): AlertCase {
  return {
    alert: 'PenstockMetricsAbsent',
    component,
    at: '15m',
    fires: [of(`${metric}{pod="a"}`, values.replace(/x.*/, 'x2'))], // Prometheus forgets a series after 5 minutes
    quiet: [of(`${metric}{pod="a"}`, values)],
  };
}
