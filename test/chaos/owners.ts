import { Redis } from 'ioredis';

/** Who owned what when, as the owner table in Redis says; while Redis is away nothing is seen. */
export interface OwnerWatch {
  changes: readonly { atMs: number; partition: number; address: string }[];
  /** Partitions whose owner changed between two times, ms since the run's start. */
  movedBetween(fromMs: number, toMs: number): ReadonlySet<number>;
  stop(): void;
}

const everyMs = 200;
/** The default of PENSTOCK_OWNERSHIP_GROUP. */
const group = 'penstock-gateway';

export function watchOwners(url: string, partitions: number, now: () => number): OwnerWatch {
  const redis = new Redis(url, { enableOfflineQueue: false, commandTimeout: 1_000, maxRetriesPerRequest: 0 });
  redis.on('error', () => undefined); // it is killed on purpose
  const last = new Map<number, string>();
  const changes: { atMs: number; partition: number; address: string }[] = [];
  let looking = false;
  const timer = setInterval(() => {
    if (looking || redis.status !== 'ready') return;
    looking = true;
    look()
      .catch(() => undefined)
      .finally(() => (looking = false));
  }, everyMs);

  async function look(): Promise<void> {
    const pipeline = redis.pipeline();
    for (let partition = 0; partition < partitions; partition++) {
      pipeline.hget(`penstock:{${group}/${partition}}:owner`, 'address');
    }
    const atMs = now();
    for (const [partition, [, address]] of ((await pipeline.exec()) ?? []).entries()) {
      // Nobody's for a moment: it moves to whoever comes next.
      if (typeof address !== 'string' || address === '' || last.get(partition) === address) continue;
      last.set(partition, address);
      changes.push({ atMs, partition, address });
    }
  }

  return {
    changes,
    movedBetween: (fromMs, toMs) =>
      new Set(changes.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs).map(({ partition }) => partition)),
    stop() {
      clearInterval(timer);
      redis.disconnect();
    },
  };
}
