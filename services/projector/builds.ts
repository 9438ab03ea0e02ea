import { setTimeout as sleep } from 'node:timers/promises';
import type { TablePlan } from '../../lib/app/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Closable } from '../../lib/ops/index.ts';
import { fingerprintOf } from '../../lib/views/index.ts';
import { type BuildContext, buildTable } from './build.ts';
import type { ProjectorMetrics } from './metrics.ts';
import type { Store } from './store.ts';
import { dropRetired } from './versions.ts';

const retryMs = 2_000;
const sweepMs = 15_000;

export interface BuildsOptions extends Omit<BuildContext, 'signal' | 'onProgress'> {
  store: Store;
  metrics: ProjectorMetrics;
}

/** Builds the tables whose schema has changed, and drops versions that nobody reads any more, in the background. */
export function openBuilds(toBuild: readonly TablePlan[], options: BuildsOptions): Closable {
  const { store, log, metrics } = options;
  const stop = new AbortController();
  const { signal } = stop;
  const pause = (ms: number) => sleep(ms, undefined, { signal }).catch(() => undefined);

  const building = (async () => {
    for (const plan of toBuild) {
      while (!signal.aborted && !(await buildOnce(plan))) await pause(retryMs);
    }
  })();
  const sweeping = (async () => {
    while (!signal.aborted) {
      await dropRetired(store.transaction).catch((error: unknown) =>
        log.info({ event: 'view_versions_kept', reason: messageOf(error) }, 'old versions could not be dropped yet'),
      );
      await pause(sweepMs);
    }
  })();

  /** Whether it is done, be it by another projector. */
  async function buildOnce(plan: TablePlan): Promise<boolean> {
    try {
      if (await isLive(store, plan)) return true;
      const result = await buildTable({ ...options, signal, onProgress: () => undefined }, plan);
      if (result.kind === 'swapped') metrics.rebuilds.inc({ table: plan.name });
      return result.kind === 'swapped';
    } catch (error) {
      if (!signal.aborted)
        log.warn({ event: 'view_build_failed', table: plan.name, reason: messageOf(error) }, 'a build has failed');
      return false;
    }
  }

  return {
    async close() {
      stop.abort();
      await Promise.all([building, sweeping]);
    },
  };
}

async function isLive(store: Store, plan: TablePlan): Promise<boolean> {
  return store.transaction(async queries => {
    const live = await queries.query(
      `SELECT FROM penstock.view_versions WHERE table_name = $1 AND state = 'live' AND fingerprint = $2`,
      [plan.name, fingerprintOf(plan)],
    );
    return live.length > 0;
  });
}
