import { Counter, Gauge, type Registry } from 'prom-client';

export type ReplayTier = 'memory' | 'redis' | 'kafka';

/** What this room counts. */
export interface ReplayMetrics {
  resumed(tier: ReplayTier): void;
  expired(): void;
  scanned(bytes: number): void;
  scansUnderWay(change: 1 | -1): void;
}

export function replayMetrics(registry: Registry, ringBytes: () => number): ReplayMetrics {
  const registers = [registry];
  const resumed = new Counter({
    name: 'penstock_replay_resumed_total',
    help: 'Partitions of streams that went on from a cursor, by the tier that gave what was missing',
    labelNames: ['tier'],
    registers,
  });
  for (const tier of ['memory', 'redis', 'kafka']) resumed.inc({ tier }, 0);
  const expired = new Counter({
    name: 'penstock_replay_expired_total',
    help: 'Streams that ended with CURSOR_EXPIRED',
    registers,
  });
  const scanned = new Counter({
    name: 'penstock_replay_scanned_bytes_total',
    help: 'Bytes of keys and values read from Kafka by cold replays',
    registers,
  });
  const scans = new Gauge({
    name: 'penstock_replay_scans',
    help: 'Cold replays under way: reads of a partition, each for all streams that wait for it',
    registers,
  });
  new Gauge({
    name: 'penstock_replay_ring_bytes',
    help: 'Bytes of recent records kept in memory',
    registers,
    collect() {
      this.set(ringBytes());
    },
  });
  return {
    resumed: tier => resumed.inc({ tier }),
    expired: () => expired.inc(),
    scanned: bytes => scanned.inc(bytes),
    scansUnderWay: change => scans.inc(change),
  };
}
