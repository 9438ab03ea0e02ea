import { type Dashboard, each, of, one, quantiles, rate } from './types.ts';

export const overview: Dashboard = {
  name: 'overview',
  title: 'overview',
  description: 'Whether clients are served: service levels, traffic, refusals, and the processes behind them.',
  rows: [
    {
      title: 'Service levels',
      panels: [
        {
          title: 'Share of bad events, last hour',
          description: 'Over 30 days 0.5 % of deliveries and commands and 0.1 % of resumes may be bad.',
          unit: 'percentunit',
          single: true,
          queries: [one('{{slo}}', of('penstock:slo_errors:ratio_rate1h'))],
        },
        {
          title: 'Share of bad events',
          description: 'Over 5 minutes. Empty where there is no traffic.',
          unit: 'percentunit',
          queries: [one('{{slo}}', of('penstock:slo_errors:ratio_rate5m'))],
        },
        {
          title: 'Delivery latency',
          description: "From a record's append to the socket.",
          unit: 's',
          queries: quantiles('penstock_gateway_delivery_seconds'),
        },
      ],
    },
    {
      title: 'Traffic',
      panels: [
        {
          title: 'Records delivered',
          description: 'Written to sockets, once for each subscription.',
          unit: 'ops',
          stacked: true,
          queries: each('topic', rate('penstock_gateway_delivered_total')),
        },
        {
          title: 'Connections',
          description: 'WebSockets and SSE responses at the gateways, and client connections at the routers.',
          unit: 'short',
          queries: [
            one('gateways', `sum(${of('penstock_gateway_connections')})`),
            one('routers', `sum(${of('penstock_router_connections')})`),
          ],
        },
        {
          title: 'Subscriptions',
          description: 'Open subscriptions to records. ALL streams are served from every partition.',
          unit: 'short',
          queries: each('scope', of('penstock_gateway_subscriptions')),
        },
        {
          title: 'Routing',
          description: 'Requests and upgrades, by what became of them.',
          unit: 'ops',
          queries: each('outcome', rate('penstock_router_routed_total')),
        },
        {
          title: 'Clients that wait',
          description: 'Upgrades in line at the routers.',
          unit: 'short',
          queries: each('pod', of('penstock_router_waiting_upgrades')),
        },
        {
          title: 'Refused or closed',
          description: 'Refusals by a limit, and clients that were closed because they were too slow.',
          unit: 'ops',
          queries: [
            ...each('limit', rate('penstock_limit_refused_total')),
            one('slow clients', `sum(${rate('penstock_gateway_slow_closed_total')})`),
          ],
        },
      ],
    },
    {
      title: 'Processes',
      panels: [
        {
          title: 'Processes',
          description: 'Those that Prometheus sees.',
          unit: 'short',
          queries: [one('{{component}} {{version}}', `count by (component, version) (${of('penstock_build_info')})`)],
        },
        {
          title: 'CPU',
          description: 'A process works on one core, and on others for collections of garbage and compression.',
          unit: 'percentunit',
          queries: each('pod', rate('process_cpu_seconds_total')),
        },
        {
          title: 'Memory',
          description: 'Resident memory.',
          unit: 'bytes',
          queries: each('pod', of('process_resident_memory_bytes')),
        },
        {
          title: 'Event loop lag',
          description: 'p99. Above 0.1 s everything that a process does is late.',
          unit: 's',
          queries: [one('{{pod}}', `max by (pod) (${of('nodejs_eventloop_lag_p99_seconds')})`)],
        },
        {
          title: 'Not ready, and hung',
          description: 'Processes that are not ready, by reason; processes that the watchdog has ended.',
          unit: 'short',
          queries: [
            one('{{component}}: {{reason}}', `sum by (component, reason) (${of('penstock_not_ready')})`),
            one(
              '{{component}}: ended by its watchdog',
              `sum by (component) (${of('penstock_watchdog_restarts_total')})`,
            ),
          ],
        },
        {
          title: 'Certificates and keys',
          description: 'When certificates end, and when signing keys have to be replaced.',
          unit: 's',
          single: true,
          queries: [
            one(
              '{{variable}}',
              `min by (variable) (${of('penstock_tls_certificate_expiry_timestamp_seconds')}) - time()`,
            ),
            one('{{use}} key', `min by (use) (${of('penstock_auth_signing_key_rotation_timestamp_seconds')}) - time()`),
          ],
        },
      ],
    },
  ],
};
