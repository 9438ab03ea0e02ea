import { type Dashboard, each, of, one, quantiles, rate } from './types.ts';

const autoscaler = (what: string) =>
  `max by (horizontalpodautoscaler) (kube_horizontalpodautoscaler_${what}{cluster=~"$cluster",namespace="$namespace"})`;

export const scaling: Dashboard = {
  name: 'scaling',
  title: 'scaling',
  description: 'Whether there are enough replicas: lag, load by replica, autoscalers, and what Kafka holds back.',
  rows: [
    {
      title: 'Lag',
      panels: [
        {
          title: 'Lag in seconds',
          description: 'Age of the oldest record that is not worked off.',
          unit: 's',
          queries: [
            one('{{component}} {{topic}}', `max by (component, topic) (${of('penstock_consumer_lag_seconds')})`),
          ],
        },
        {
          title: 'Lag in records',
          description: 'End of the committed records less position.',
          unit: 'short',
          queries: [
            one('{{component}} {{topic}}', `sum by (component, topic) (${of('penstock_consumer_lag_records')})`),
          ],
        },
        {
          title: 'Open transactions',
          description: 'How long a partition has stood at the same open transaction.',
          unit: 's',
          queries: [one('{{topic}}', `max by (topic) (${of('penstock_kafka_open_transaction_seconds')})`)],
        },
      ],
    },
    {
      title: 'Load by replica',
      panels: [
        {
          title: 'Connections by gateway',
          description: 'The autoscaler of the gateways aims at a number of them.',
          unit: 'short',
          queries: each('pod', of('penstock_gateway_connections')),
        },
        {
          title: 'CPU by component',
          description: 'The mean of its processes.',
          unit: 'percentunit',
          queries: [one('{{component}}', `avg by (component) (${rate('process_cpu_seconds_total')})`)],
        },
        {
          title: 'Deliveries by gateway',
          description: 'One gateway far above the others: a hot key, or partitions that are not spread.',
          unit: 'ops',
          queries: each('pod', rate('penstock_gateway_delivered_total')),
        },
      ],
    },
    {
      title: 'Autoscalers (kube-state-metrics)',
      panels: [
        {
          title: 'Replicas wanted',
          description: 'By the autoscalers.',
          unit: 'short',
          kubernetes: true,
          queries: [
            one('{{horizontalpodautoscaler}}', autoscaler('status_desired_replicas')),
            one('{{horizontalpodautoscaler}} at most', autoscaler('spec_max_replicas')),
          ],
        },
      ],
    },
    {
      title: 'Projector and Kafka',
      panels: [
        {
          title: 'Records projected',
          description: 'Records that have passed the projectors.',
          unit: 'ops',
          queries: each('topic', rate('penstock_projector_records_total')),
        },
        {
          title: 'Transaction of a projector’s batch',
          description: 'PostgreSQL.',
          unit: 's',
          queries: quantiles('penstock_projector_batch_seconds'),
        },
        {
          title: 'Records that fit nothing',
          description: 'Skipped by streams, or gone to a dead-letter topic by the projectors.',
          unit: 'ops',
          queries: [
            one('streams: {{topic}} {{reason}}', `sum by (topic, reason) (${rate('penstock_gateway_skipped_total')})`),
            one('projectors: {{topic}}', `sum by (topic) (${rate('penstock_projector_dead_letters_total')})`),
          ],
        },
        {
          title: 'Held back by quotas',
          description: 'Time for which brokers took nothing from a connection because of a client quota.',
          unit: 'percentunit',
          queries: each('api', rate('penstock_kafka_throttled_seconds_total')),
        },
        {
          title: 'Partitions that nobody reads',
          description: 'Topics that were given partitions by other means than by growing them with Penstock.',
          unit: 'short',
          queries: [one('{{topic}}', `max by (topic) (${of('penstock_kafka_unread_partitions')})`)],
        },
      ],
    },
  ],
};
