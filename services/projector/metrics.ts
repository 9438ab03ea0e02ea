import { Counter, Histogram, type Registry } from 'prom-client';

export function openProjectorMetrics(registry: Registry) {
  const registers = [registry];
  return {
    records: new Counter({
      name: 'penstock_projector_records_total',
      help: 'Records that have passed, by topic',
      labelNames: ['topic'],
      registers,
    }),
    deadLetters: new Counter({
      name: 'penstock_projector_dead_letters_total',
      help: 'Records that fit no table and went to <topic>-dlt, by their topic',
      labelNames: ['topic'],
      registers,
    }),
    deadLettersSkipped: new Counter({
      name: 'penstock_projector_dead_letters_skipped_total',
      help: 'Records that fit no table and whose dead letters are skipped by configuration, by their topic',
      labelNames: ['topic'],
      registers,
    }),
    batch: new Histogram({
      name: 'penstock_projector_batch_seconds',
      help: 'Time of a transaction that applies a batch of records',
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
    fenced: new Counter({
      name: 'penstock_projector_fenced_total',
      help: 'Batches that changed nothing because their partition had moved on',
      registers,
    }),
    rebuilds: new Counter({
      name: 'penstock_projector_rebuilds_total',
      help: 'Versions of tables built and swapped in',
      labelNames: ['table'],
      registers,
    }),
  };
}

export type ProjectorMetrics = ReturnType<typeof openProjectorMetrics>;
