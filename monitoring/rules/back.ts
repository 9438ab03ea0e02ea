import { absent } from './front.ts';
import { by, type Group, ofNamespace, series } from './types.ts';

const lag = `max by (namespace, job, component, topic) (${series('penstock_consumer_lag_seconds')})`;
const certificate = `min by (namespace, job, variable) (${series('penstock_tls_certificate_expiry_timestamp_seconds')})`;

/** Alerts about what every service tells. */
export const services: Group = {
  name: 'penstock.services',
  alerts: [
    {
      name: 'PenstockConsumerLag',
      expression: `${lag} > 300`,
      for: '2m',
      severity: 'critical',
      summary: 'A {{ $labels.component }} is more than 5 minutes behind the end of {{ $labels.topic }}.',
      description: 'What was appended since then is not streamed, decided or in a view.',
      runbook: 'consumers',
      dashboard: 'scaling',
    },
    {
      name: 'PenstockConsumerLag',
      expression: `${lag} > 30`,
      for: '30m',
      severity: 'warning',
      summary: 'A {{ $labels.component }} has been behind the end of {{ $labels.topic }} for half an hour.',
      description: 'It does not keep up: it is more than 30 s behind all the time.',
      runbook: 'consumers',
      dashboard: 'scaling',
    },
    {
      name: 'PenstockHangingTransaction',
      expression: `max by (namespace, job, topic) (${series('penstock_kafka_open_transaction_seconds')}) > 120`,
      for: '1m',
      severity: 'critical',
      summary: 'A transaction has been open in {{ $labels.topic }} for more than 2 minutes.',
      description: 'Nothing behind its first record is streamed, decided or in a view until somebody ends it.',
      runbook: 'consumers',
      dashboard: 'scaling',
    },
    {
      name: 'PenstockLimitsRefusing',
      expression: `sum by (namespace, job, limit) (rate(${series('penstock_limit_refused_total')}[10m])) > 0.1`,
      for: '15m',
      severity: 'warning',
      summary: 'The limit {{ $labels.limit }} keeps refusing.',
      description:
        'Clients are told LIMIT_EXCEEDED, 429 or 1013. Either somebody asks for too much, or the limit is too low.',
      runbook: 'routing',
      dashboard: 'overview',
    },
    {
      name: 'PenstockCertificateExpires',
      expression: `${certificate} - time() < 14 * 86400`,
      for: '1h',
      severity: 'warning',
      summary: 'A certificate in the file of {{ $labels.variable }} ends within 14 days.',
      description: 'After that no new connection that needs it can be made.',
      runbook: 'secrets',
      dashboard: 'overview',
    },
    {
      name: 'PenstockCertificateExpires',
      expression: `${certificate} - time() < 2 * 86400`,
      for: '5m',
      severity: 'critical',
      summary: 'A certificate in the file of {{ $labels.variable }} ends within 2 days.',
      description: 'After that no new connection that needs it can be made.',
      runbook: 'secrets',
      dashboard: 'overview',
    },
    {
      name: 'PenstockNotReady',
      expression: `max by (namespace, job, component, reason) (${series('penstock_not_ready', 'reason!="drain"')}) > 0`,
      for: '15m',
      severity: 'warning',
      summary: 'A {{ $labels.component }} has not been ready for 15 minutes: {{ $labels.reason }}.',
      description: 'It misses what it needs, or one of its partitions waits for an operator.',
      runbook: 'processes',
      dashboard: 'overview',
    },
    {
      name: 'PenstockWatchdogRestarts',
      expression: `sum by (namespace, job, component) (increase(${series('penstock_watchdog_restarts_total')}[1h])) > 0`,
      for: '0m',
      severity: 'warning',
      summary: 'The watchdog has ended a {{ $labels.component }} that hung.',
      description: 'Its event loop stood still. Whatever made it do so can come again: it is a defect.',
      runbook: 'processes',
      dashboard: 'overview',
    },
  ],
};

export const commandHandler: Group = {
  name: 'penstock.command-handler',
  alerts: [
    {
      name: 'PenstockOutboxGrowing',
      expression: [
        `max ${by} (${series('penstock_outbox_oldest_seconds')}) > 60`,
        `or (sum ${by} (${series('penstock_outbox_records')}) > 1000`,
        `  and sum ${by} (${series('penstock_outbox_records')}) >= sum ${by} (${series('penstock_outbox_records')} offset 10m))`,
      ].join('\n'),
      for: '5m',
      severity: 'critical',
      summary: 'Events and verdicts wait in the outbox, and do not get fewer.',
      description: 'They are committed in PostgreSQL and not in Kafka: their users get no feedback and see no event.',
      runbook: 'commands',
      dashboard: 'commands',
    },
    {
      name: 'PenstockLedgerWentBack',
      expression: `sum by (namespace, job, reason) (${series('penstock_handler_partitions_stopped')}) > 0`,
      for: '1m',
      severity: 'critical',
      summary: 'PostgreSQL has gone back: no command is decided until an operator has reconciled the ledger.',
      description:
        'The log has events of transactions that PostgreSQL lacks. Handlers stop rather than contradict them.',
      runbook: 'commands',
      dashboard: 'commands',
    },
    absent('command-handler', 'penstock_outbox_unacknowledged_records', 'commands'),
  ],
};

export const projector: Group = {
  name: 'penstock.projector',
  alerts: [absent('projector', 'penstock_projector_fenced_total', 'overview')],
};

/** Needs kube-state-metrics; without it the alert never fires. */
export const autoscaling: Group = {
  name: 'penstock.autoscaling',
  alerts: [
    {
      name: 'PenstockAutoscalerAtMaximum',
      expression: [
        `kube_horizontalpodautoscaler_status_desired_replicas{${ofNamespace}}`,
        `  >= kube_horizontalpodautoscaler_spec_max_replicas{${ofNamespace}}`,
        `and kube_horizontalpodautoscaler_spec_max_replicas{${ofNamespace}}`,
        `  > kube_horizontalpodautoscaler_spec_min_replicas{${ofNamespace}}`,
      ].join('\n'),
      for: '15m',
      severity: 'warning',
      summary: 'The autoscaler {{ $labels.horizontalpodautoscaler }} has been at its maximum for 15 minutes.',
      description: 'It would add replicas if it might. More load is not met by more of them.',
      runbook: 'processes',
      dashboard: 'scaling',
    },
  ],
};
