import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { sharedCounter } from '../../ops/index.ts';

/** What keeping and reading the buffer counts. */
export interface BufferMetrics {
  appended(records: number): void;
  hole(): void;
  fenced(): void;
  windowOpened(): void;
  /** The returned function ends the time of an append. */
  appending(): () => void;
  /** `complete`: what was asked for, proved. `unknown`: another tier has to answer. `failed`: Redis did not. */
  read(answer: 'complete' | 'unknown' | 'failed'): void;
}

export function bufferMetrics(registry: Registry, now: { degraded(): number; lag(): number }): BufferMetrics {
  const registers = [registry];
  const appended = new Counter({
    name: 'penstock_replay_buffer_appended_total',
    help: 'Records appended to the replay buffer in Redis',
    registers,
  });
  const holes = new Counter({
    name: 'penstock_replay_buffer_holes_total',
    help: 'Appends that found another window or another tail than expected: the buffer was flushed, evicted or lost in a failover',
    registers,
  });
  const windows = new Counter({
    name: 'penstock_replay_buffer_windows_total',
    help: 'Windows begun in the replay buffer: cursors from before are served from Kafka',
    registers,
  });
  const fenced = sharedCounter(registry, {
    name: 'penstock_replay_fenced_total',
    help: 'Claims and appends that were answered STALE: somebody newer was there',
  });
  const appendSeconds = new Histogram({
    name: 'penstock_replay_buffer_append_seconds',
    help: 'Time of one append to the replay buffer, answered by Redis',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
    registers,
  });
  const reads = new Counter({
    name: 'penstock_replay_buffer_reads_total',
    help: 'Questions to the replay buffer, by what came of them',
    labelNames: ['answer'],
    registers,
  });
  for (const answer of ['complete', 'unknown', 'failed']) reads.inc({ answer }, 0);
  new Gauge({
    name: 'penstock_replay_buffer_degraded_partitions',
    help: 'Owned partitions of topics whose replay buffer Redis does not keep now: it is away, full, read-only or too slow',
    registers,
    collect() {
      this.set(now.degraded());
    },
  });
  new Gauge({
    name: 'penstock_replay_buffer_lag_records',
    help: 'Offsets that are delivered but not yet in the replay buffer, over all owned partitions',
    registers,
    collect() {
      this.set(now.lag());
    },
  });
  return {
    appended: records => appended.inc(records),
    hole: () => holes.inc(),
    fenced: () => fenced.inc(),
    windowOpened: () => windows.inc(),
    appending: () => appendSeconds.startTimer(),
    read: answer => reads.inc({ answer }),
  };
}
