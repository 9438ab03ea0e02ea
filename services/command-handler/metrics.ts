import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export interface HandlerMetrics {
  commands: Counter<'type' | 'verdict'>;
  commandSeconds: Histogram;
  batchSeconds: Histogram;
  batchCommands: Histogram;
  fenced: Counter;
  deadLetters: Counter<'topic'>;
  misplaced: Counter<'topic'>;
  truncated: Counter<'topic'>;
  published: Counter<'topic'>;
  stuckPartitions: Gauge;
}

/** Adds the gauge of partitions whose commands are stopped until an operator has done something, by reason. */
export function gaugeStopped(registry: Registry, count: () => number): void {
  new Gauge({
    name: 'penstock_handler_partitions_stopped',
    help: 'Assigned partitions whose commands wait for an operator, by reason',
    labelNames: ['reason'],
    registers: [registry],
    collect() {
      this.set({ reason: 'ledger_went_back' }, count());
    },
  });
}

/** What waits in the outbox, as it was counted last. */
export interface OutboxSize {
  records: number;
  oldestSeconds: number;
}

/** Adds the gauges of what this handler's partitions have in the outbox. */
export function gaugeOutbox(registry: Registry, size: () => OutboxSize): void {
  const gauge = (name: string, help: string, value: (of: OutboxSize) => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value(size()));
      },
    });
  gauge(
    'penstock_outbox_records',
    "Rows of this handler's partitions in the outbox, counted every 15 s and no further than 100,000",
    ({ records }) => records,
  );
  gauge(
    'penstock_outbox_oldest_seconds',
    'Age of the oldest of those rows: committed in PostgreSQL, and not known to be in Kafka',
    ({ oldestSeconds }) => oldestSeconds,
  );
}

export function openMetrics(registry: Registry, unacknowledged: () => number): HandlerMetrics {
  const registers = [registry];
  new Gauge({
    name: 'penstock_outbox_unacknowledged_records',
    help: 'Records handed to Kafka and not yet acknowledged',
    registers,
    collect() {
      this.set(unacknowledged());
    },
  });
  return {
    commands: new Counter({
      name: 'penstock_commands_total',
      help: 'Commands taken up, by type and verdict',
      labelNames: ['type', 'verdict'],
      registers,
    }),
    commandSeconds: new Histogram({
      name: 'penstock_command_seconds',
      help: "From a command's append to the acknowledgement of its feedback",
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
    batchSeconds: new Histogram({
      name: 'penstock_handler_batch_seconds',
      help: 'Transaction of one batch, from its first statement to its commit',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    }),
    batchCommands: new Histogram({
      name: 'penstock_handler_batch_records',
      help: 'Records in one batch',
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000],
      registers,
    }),
    fenced: new Counter({
      name: 'penstock_handler_fenced_total',
      help: 'Batches that changed nothing because somebody else had claimed a partition',
      registers,
    }),
    deadLetters: new Counter({
      name: 'penstock_handler_dead_letters_total',
      help: 'Records that nobody can be answered for and that went to <topic>-dlt, by their topic',
      labelNames: ['topic'],
      registers,
    }),
    misplaced: new Counter({
      name: 'penstock_misplaced_records_total',
      help: "Records that lie in another partition than their key's",
      labelNames: ['topic'],
      registers,
    }),
    truncated: new Counter({
      name: 'penstock_handler_truncated_total',
      help: 'Times that a command partition had lost its end below the position (an unclean leader election), by topic',
      labelNames: ['topic'],
      registers,
    }),
    stuckPartitions: new Gauge({
      name: 'penstock_handler_stuck_partitions',
      help: 'Partitions of topics with an event or a verdict that Kafka has not acknowledged for 5 s; readyz names them',
      registers,
    }),
    published: new Counter({
      name: 'penstock_handler_published_total',
      help: 'Events and verdicts acknowledged by Kafka, by topic',
      labelNames: ['topic'],
      registers,
    }),
  };
}
