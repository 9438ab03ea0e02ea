import { type Dashboard, each, of, one, quantiles, rate } from './types.ts';

export const ownership: Dashboard = {
  name: 'ownership',
  title: 'ownership and rollouts',
  description: 'Which gateway owns what, and what a rollout or a failure does to clients.',
  rows: [
    {
      title: 'Ownership',
      panels: [
        {
          title: 'Partitions owned',
          description: 'By gateway. The sum is the number of partitions.',
          unit: 'short',
          stacked: true,
          queries: each('pod', of('penstock_gateway_partitions_owned')),
        },
        {
          title: 'Partitions without an owner',
          description:
            'Clients of such a partition wait at the routers. Unclaimed ones have an owner that Redis does not know.',
          unit: 'short',
          queries: [
            one(
              'unowned',
              `max(${of('penstock_ownership_partitions')}) - sum(${of('penstock_gateway_partitions_owned')})`,
            ),
            one('unclaimed', `sum(${of('penstock_ownership_unclaimed_partitions')})`),
          ],
        },
        {
          title: 'Peers',
          description: 'Other members of its group whose death a process would notice at once.',
          unit: 'short',
          queries: each('pod', of('penstock_ownership_peers')),
        },
      ],
    },
    {
      title: 'Moves',
      panels: [
        {
          title: 'Rebalances',
          description: 'Assignments that gateways were given by their group.',
          unit: 'ops',
          queries: each('pod', rate('penstock_ownership_rebalances_total')),
        },
        {
          title: 'Time of a handoff',
          description: 'From the assignment that gives a partition to a gateway to its claim being visible to routers.',
          unit: 's',
          queries: quantiles('penstock_ownership_handoff_seconds'),
        },
        {
          title: 'Fenced',
          description:
            'Claims and appends that were refused because somebody newer was there. A few belong to each move.',
          unit: 'ops',
          queries: each('pod', rate('penstock_replay_fenced_total')),
        },
      ],
    },
    {
      title: 'Clients',
      panels: [
        {
          title: 'Connections by gateway',
          description: 'A gateway that leaves hands its clients over within the handover window.',
          unit: 'short',
          stacked: true,
          queries: each('pod', of('penstock_gateway_connections')),
        },
        {
          title: 'Not routed to the owner at once',
          description: 'Routed again, served by another gateway in its place, or turned away.',
          unit: 'ops',
          queries: each('outcome', rate('penstock_router_routed_total', 'outcome!="routed"')),
        },
        {
          title: 'Waits for an owner',
          description: 'How long requests waited for an owner of their partition, where they had to.',
          unit: 's',
          queries: quantiles('penstock_router_unowned_wait_seconds'),
        },
        {
          title: 'Versions',
          description: 'Processes by version: a rollout is over when there is one.',
          unit: 'short',
          stacked: true,
          queries: [one('{{version}}', `count by (version) (${of('penstock_build_info')})`)],
        },
        {
          title: 'Restarts',
          description: 'Processes that were started again under the same name within the last hour.',
          unit: 'short',
          queries: each('pod', `changes(${of('process_start_time_seconds')}[1h])`),
        },
      ],
    },
  ],
};
