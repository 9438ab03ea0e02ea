import { type Dashboard, each, of, one, quantiles, rate } from './types.ts';

export const commands: Dashboard = {
  name: 'commands',
  title: 'commands',
  description: 'From the mutation to its feedback: gateways, handlers, PostgreSQL and the outbox.',
  rows: [
    {
      title: 'As clients see them',
      panels: [
        {
          title: 'Time to the feedback',
          description: 'From the request to the final feedback, of those that were answered.',
          unit: 's',
          queries: quantiles('penstock_gateway_command_seconds', 'outcome="answered"'),
        },
        {
          title: 'Commands by outcome',
          description:
            'pending: no feedback in time. failed: not produced, or refused. abandoned: the client has gone.',
          unit: 'ops',
          stacked: true,
          queries: each('outcome', rate('penstock_gateway_command_seconds_count')),
        },
        {
          title: 'In flight',
          description: 'Commands that wait for their feedback.',
          unit: 'short',
          queries: each('pod', of('penstock_gateway_commands_in_flight')),
        },
      ],
    },
    {
      title: 'Handlers',
      panels: [
        {
          title: 'Commands by verdict',
          description: 'As handlers decided them.',
          unit: 'ops',
          queries: [one('{{type}} {{verdict}}', `sum by (type, verdict) (${rate('penstock_commands_total')})`)],
        },
        {
          title: 'Time to the acknowledged feedback',
          description: "From a command's append to the acknowledgement of its feedback by Kafka.",
          unit: 's',
          queries: quantiles('penstock_command_seconds'),
        },
        {
          title: 'Transaction of a batch',
          description: 'From its first statement to its commit: PostgreSQL.',
          unit: 's',
          queries: quantiles('penstock_handler_batch_seconds'),
        },
        {
          title: 'Records in a batch',
          description: 'Batches grow with the load.',
          unit: 'short',
          queries: [
            one(
              'mean',
              `sum(${rate('penstock_handler_batch_records_sum')}) / sum(${rate('penstock_handler_batch_records_count')})`,
            ),
          ],
        },
        {
          title: 'Commands that wait',
          description: 'Records of command topics that handlers have not worked off.',
          unit: 'short',
          queries: each('topic', of('penstock_consumer_lag_records', 'component="command-handler"')),
        },
        {
          title: 'Fenced batches and dead letters',
          description: 'Batches of partitions that somebody else has claimed; records that nobody can be answered for.',
          unit: 'ops',
          queries: [
            one('fenced', `sum(${rate('penstock_handler_fenced_total')})`),
            one('dead letters of {{topic}}', `sum by (topic) (${rate('penstock_handler_dead_letters_total')})`),
          ],
        },
      ],
    },
    {
      title: 'Outbox',
      panels: [
        {
          title: 'Rows in the outbox',
          description:
            'Committed in PostgreSQL and not known to be in Kafka; and those of them that were handed to Kafka.',
          unit: 'short',
          queries: [
            one('rows', `sum(${of('penstock_outbox_records')})`),
            one('not acknowledged', `sum(${of('penstock_outbox_unacknowledged_records')})`),
          ],
        },
        {
          title: 'Oldest row',
          description: 'Rows wait for milliseconds where all is well.',
          unit: 's',
          queries: [one('{{pod}}', `max by (pod) (${of('penstock_outbox_oldest_seconds')})`)],
        },
        {
          title: 'Published',
          description: 'Events and verdicts that Kafka has acknowledged.',
          unit: 'ops',
          queries: each('topic', rate('penstock_handler_published_total')),
        },
        {
          title: 'Partitions that do not go on',
          description: 'stuck: Kafka acknowledges nothing for 5 s. Others wait for an operator, by reason.',
          unit: 'short',
          queries: [
            one('stuck', `sum(${of('penstock_handler_stuck_partitions')})`),
            ...each('reason', of('penstock_handler_partitions_stopped')),
          ],
        },
      ],
    },
  ],
};
