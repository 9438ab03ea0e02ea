import { type Dashboard, each, of, one, quantiles, rate } from './types.ts';

export const replay: Dashboard = {
  name: 'replay',
  title: 'replay',
  description: 'Who comes back, from where it is served what it has missed, and how the buffer in Redis fares.',
  rows: [
    {
      title: 'Resumes',
      panels: [
        {
          title: 'Resumes by tier',
          description: 'Partitions of streams that went on from a cursor. Memory is cheapest, Kafka is dearest.',
          unit: 'ops',
          stacked: true,
          queries: each('tier', rate('penstock_replay_resumed_total')),
        },
        {
          title: 'Expired cursors',
          description: 'Streams that ended with CURSOR_EXPIRED: what they missed is not in the log any more.',
          unit: 'ops',
          queries: each('pod', rate('penstock_replay_expired_total')),
        },
        {
          title: 'Cold replays under way',
          description: 'Reads of a partition from Kafka, each for all streams that wait for it.',
          unit: 'short',
          queries: each('pod', of('penstock_replay_scans')),
        },
        {
          title: 'Read from Kafka',
          description: 'Bytes of keys and values that cold replays read.',
          unit: 'Bps',
          queries: each('pod', rate('penstock_replay_scanned_bytes_total')),
        },
        {
          title: 'Kept in memory',
          description: 'Bytes of recent records in the gateways’ rings.',
          unit: 'bytes',
          queries: each('pod', of('penstock_replay_ring_bytes')),
        },
      ],
    },
    {
      title: 'Buffer in Redis',
      panels: [
        {
          title: 'Questions to the buffer',
          description: 'complete: it has all. unknown: another tier answers. failed: Redis did not answer.',
          unit: 'ops',
          queries: each('answer', rate('penstock_replay_buffer_reads_total')),
        },
        {
          title: 'Records appended',
          description: 'By the owners of their partitions, afterwards and in batches.',
          unit: 'ops',
          queries: each('pod', rate('penstock_replay_buffer_appended_total')),
        },
        {
          title: 'Time of an append',
          description: 'Answered by Redis. It delays no delivery.',
          unit: 's',
          queries: quantiles('penstock_replay_buffer_append_seconds'),
        },
        {
          title: 'Degraded partitions',
          description:
            'Owned partitions of topics that Redis does not keep now: it is away, full, read-only or too slow.',
          unit: 'short',
          queries: each('pod', of('penstock_replay_buffer_degraded_partitions')),
        },
        {
          title: 'Not yet in the buffer',
          description: 'Offsets that are delivered and not appended.',
          unit: 'short',
          queries: each('pod', of('penstock_replay_buffer_lag_records')),
        },
        {
          title: 'Windows and holes',
          description:
            'Windows that began anew, and appends that found another state than expected: Redis lost something.',
          unit: 'ops',
          queries: [
            one('windows', `sum(${rate('penstock_replay_buffer_windows_total')})`),
            one('holes', `sum(${rate('penstock_replay_buffer_holes_total')})`),
          ],
        },
      ],
    },
  ],
};
